"""What is worth keeping of an answer whose worker died: completed steps, and the tool calls of the broken one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from chatagent.errors import StreamError
from chatagent.ui.fold import Fold
from chatagent.ui.replay import parts_to_chunks
from chatagent.ui.tool_part import is_tool
from chatagent.ui.tool_replay import call_to_chunks

Chunk = dict[str, Any]
UIMessage = dict[str, Any]
Part = dict[str, Any]

_STREAMING = ("streaming", "input-streaming")


@dataclass(frozen=True, slots=True)
class Recovered:
    """Where to go on.

    `chunks` take a reader of the dead attempt to `message`, so they are written first. `reset`: there is a `reset-step`
    among them, followed by what it removed too much. `open_step`: the last `step-start` of `message` is not finished;
    the next model call goes on inside it. `pending`: tool calls of that step without an answer.
    """

    message: UIMessage
    reset: bool
    open_step: bool
    pending: list[Part]
    chunks: list[Chunk] = field(default_factory=list)


def recover(chunks: Iterable[Chunk], initial: UIMessage | None = None) -> Recovered:
    """Cut a broken answer, of one or more attempts that continued `initial`, to what need not be done again.

    A step is complete when it was finished. Of a broken step the model's part is complete once a tool call has an
    answer, or its whole input and nothing is streaming any more, since all calls of a step are announced together:
    then what is complete in it is kept. Otherwise the step is redone from its start. What stands outside of steps
    counts as a broken step of its own.
    """
    fold = Fold(initial)
    parts = fold.message["parts"]
    #: Place of the first part that no finished step holds.
    begin = len(parts)
    open_step = False
    for chunk in chunks:
        try:
            fold.add(chunk)
        except StreamError:
            # Readers stopped here too.
            break
        if chunk["type"] in ("start-step", "finish-step"):
            open_step = chunk["type"] == "start-step"
            begin = len(parts)
        begin = min(begin, len(parts))
    broken = fold.message["parts"][begin:]
    kept = [part for part in broken if part.get("state") not in _STREAMING] if _is_decided(broken) else []
    told = _cut(fold, parts[fold.step_at : begin], kept) if len(kept) < len(broken) else []
    reset = bool(told)
    told += _undo_preliminary(fold)
    pending = [part for part in parts[begin:] if part.get("state") == "input-available"]
    return Recovered(fold.message, reset=reset, open_step=open_step, pending=pending, chunks=told)


def _is_decided(step: list[Part]) -> bool:
    """Whether the model's part of the step need not be done again."""
    whole = not any(part.get("state") in _STREAMING for part in step)
    calls = [part for part in step if is_tool(part) and part.get("state") not in _STREAMING]
    return any(whole or (part.get("state") != "input-available" and not part.get("preliminary")) for part in calls)


def _cut(fold: Fold, finished: list[Part], kept: list[Part]) -> list[Chunk]:
    """Take the message back to these parts of its last step; gives the chunks that do it."""
    again = [*parts_to_chunks(finished), {"type": "finish-step"}] if finished else []
    told: list[Chunk] = [{"type": "reset-step"}, *again, *parts_to_chunks(kept)]
    for chunk in told:
        fold.add(chunk)
    return told


def _undo_preliminary(fold: Fold) -> list[Chunk]:
    """Take calls that died between two preliminary outputs back to where they wait; gives the chunks that do it."""
    running = [part for part in fold.message["parts"][fold.step_at :] if is_tool(part) and part.get("preliminary")]
    told = [chunk for part in running if not part.get("providerExecuted") for chunk in call_to_chunks(part)]
    for chunk in told:
        fold.add(chunk)
    return told
