"""What is worth keeping of an answer whose worker died: completed steps, and the tool calls of the broken one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from chatagent.errors import StreamError
from chatagent.ui.fold import Fold
from chatagent.ui.tool_part import is_tool

Chunk = dict[str, Any]
UIMessage = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Recovered:
    """Where to go on.

    `open_step`: the last `step-start` of `message` is not finished; the next model call goes on inside it. `reset`:
    parts were dropped behind it, so readers must be told to drop them too (`reset-step`). `pending`: tool calls
    without an answer.
    """

    message: UIMessage
    reset: bool
    open_step: bool
    pending: list[dict[str, Any]]


def recover(chunks: Iterable[Chunk], initial: UIMessage | None = None) -> Recovered:
    """Cut a broken answer to what need not be done again.

    A step is complete when it was finished. Of a broken step the model's part is complete once a tool call has its
    whole input, since all calls of a step are announced together: then its answers so far are kept. Otherwise the
    step is redone from its start.
    """
    fold = Fold(initial)
    open_step = False
    for chunk in chunks:
        try:
            fold.add(chunk)
        except StreamError:
            break
        if chunk["type"] in ("start-step", "finish-step"):
            open_step = chunk["type"] == "start-step"
    message = fold.message
    parts = message["parts"]
    if not open_step:
        return Recovered(message, reset=False, open_step=False, pending=[])
    step_at = max(at for at, part in enumerate(parts) if part["type"] == "step-start") + 1
    step = parts[step_at:]
    decided = any(is_tool(part) and part["state"] != "input-streaming" for part in step)
    kept = [part for part in step if decided and part.get("state") not in ("streaming", "input-streaming")]
    parts[step_at:] = kept
    pending = [part for part in kept if part.get("state") == "input-available"]
    return Recovered(message, reset=bool(step) and not decided, open_step=True, pending=pending)
