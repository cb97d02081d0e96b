"""What an answer came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from chatagent.ui.reading import ToolCall, text_of, tool_call, waiting_calls
from chatagent.ui.tool_part import is_tool

UIMessage = dict[str, Any]
Outcome = Literal["completed", "stopped", "failed", "waiting"]


@dataclass(frozen=True, slots=True)
class Result:
    """A whole answer. `waiting`: it goes on when the calls in `waiting_calls` are answered or approved."""

    message: UIMessage
    outcome: Outcome
    #: Why the model ended, in the AI SDK's words; None when the stream did not say.
    finish_reason: str | None = None
    #: What went wrong, in words for the user; of a failed answer.
    error: str | None = None

    @property
    def text(self) -> str:
        """All text of the message."""
        return text_of(self.message)

    @property
    def tool_calls(self) -> list[ToolCall]:
        """All calls of the message, in order."""
        return [tool_call(part) for part in self.message["parts"] if is_tool(part)]

    @property
    def waiting_calls(self) -> list[ToolCall]:
        """The calls that wait for us: `state` is `approval-requested`, or `input-available` for tools of our own."""
        return [tool_call(part) for part in waiting_calls(self.message)]

    @property
    def usage(self) -> dict[str, Any] | None:
        """Tokens, where the agent puts them into the message's metadata (as `usage`)."""
        found = (self.message.get("metadata") or {}).get("usage")
        return found if isinstance(found, dict) else None
