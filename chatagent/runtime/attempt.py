"""Where an attempt at a message begins: at its start, or after the steps that a dead attempt had done. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from chatagent.errors import StreamError
from chatagent.record import Handover, control_kind, is_raw
from chatagent.runtime.conversation import Applied, apply, steered_ids
from chatagent.runtime.port import Claim
from chatagent.ui import Fold, decode, recover

UIMessage = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a claim finds.

    `initial` is the answer that goes on (of an earlier turn, or of a dead attempt), `told` the chunks that take readers
    of the dead attempt there. `open_step`: the first step goes on inside the last one of `initial`. `steered`: inbox
    seqs of messages that the kept steps have answered.
    """

    applied: Applied
    resumed: bool
    initial: UIMessage | None
    told: tuple[dict[str, Any], ...]
    open_step: bool
    steered: tuple[int, ...]
    #: All that the dead attempt wrote, the broken step as well.
    partial: UIMessage | None = None
    #: The beginning was made elsewhere (a head start), and readers do not have it yet: `told` is all of it.
    handed: bool = False

    @property
    def kept(self) -> list[UIMessage]:
        """The conversation without the message that is being answered with."""
        return [each for each in self.applied.messages if each is not self.applied.response]

    @property
    def begun(self) -> bool:
        """Something of the answer is kept, or was made elsewhere."""
        return self.initial is not None and bool(self.initial["parts"])

    @property
    def continues(self) -> bool:
        """The answer has a beginning already."""
        return self.applied.response is not None or self.resumed or self.handed


def begin(claim: Claim, history: Sequence[UIMessage]) -> Attempt:
    """Look at what there is: completed steps are kept, the broken one is redone."""
    applied = _merged(apply(history, claim.record), claim)
    chunks = [decode(record) for record in claim.tail if control_kind(record) is None and not is_raw(record)]
    handover = claim.record.handover
    if handover is not None and len(chunks) <= len(handover.chunks):
        return _handed(applied, handover, chunks)
    if not chunks:
        return Attempt(applied, False, applied.response, (), False, ())
    recovered = recover(chunks, applied.response)
    answered = steered_ids(recovered.message)
    return Attempt(
        applied=applied,
        resumed=True,
        initial=recovered.message,
        told=tuple(recovered.chunks),
        open_step=recovered.open_step,
        steered=tuple(record.seq for record in claim.waiting if record.message_id in answered),
        partial=_partial(chunks, applied.response),
    )


def _handed(applied: Applied, handover: Handover, written: Sequence[dict[str, Any]]) -> Attempt:
    """A head start is gone on with; an attempt that died while it told readers of it is no other than the first."""
    recovered = recover([{"type": "start", "messageId": handover.message_id}, *handover.chunks])
    stepped = any(chunk["type"] == "start-step" for chunk in written)
    told = ({"type": "reset-step"}, *handover.chunks[1:]) if stepped else handover.chunks
    return Attempt(applied, bool(written), recovered.message, told, recovered.open_step, (), handed=True)


def _partial(chunks: Sequence[dict[str, Any]], initial: UIMessage | None) -> UIMessage | None:
    """What readers of a dead attempt hold; None when there is nothing to see."""
    fold = Fold(initial)
    for chunk in chunks:
        try:
            fold.add(chunk)
        except StreamError:
            break
    shown = any(part.get("type") != "step-start" for part in fold.message["parts"])
    return fold.message if shown else None


def _merged(applied: Applied, claim: Claim) -> Applied:
    """With the messages that a dead attempt had merged into its turn: they are this one's, too."""
    found = [record.user_message for record in claim.waiting if record.seq in claim.merged]
    merged = [message for message in found if message is not None]
    return replace(applied, messages=[*applied.messages, *merged]) if merged else applied
