"""What code reads off a UI message: its text, its last step, its tool calls and which of them wait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chatagent.ui.step import Steps
from chatagent.ui.tool_part import is_tool, tool_name

Part = dict[str, Any]

#: States of calls that wait for a client: for the output of a tool of its own, or for an approval.
WAITING = ("input-available", "approval-requested")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool, as far as it got (`state` in the AI SDK's words)."""

    id: str
    name: str
    state: str
    input: Any = None
    output: Any = None
    error: str | None = None
    #: Names the approval that the call asked for.
    approval_id: str | None = None


def tool_call(part: Part) -> ToolCall:
    """A tool part as a call."""
    return ToolCall(
        id=str(part["toolCallId"]),
        name=tool_name(part),
        state=str(part.get("state")),
        input=part.get("input"),
        output=part.get("output"),
        error=part.get("errorText"),
        approval_id=(part.get("approval") or {}).get("id"),
    )


def text_of(message: Mapping[str, Any]) -> str:
    """All text of a message."""
    return "".join(part.get("text", "") for part in message.get("parts", ()) if part.get("type") == "text")


def last_step(message: Mapping[str, Any]) -> list[Part]:
    """The parts of the last step; all of them when no step was started."""
    return Steps(list(message.get("parts", ()))).current()


def waiting_calls(message: Mapping[str, Any]) -> list[Part]:
    """Tool parts of the last step that wait for the client."""
    return [part for part in last_step(message) if is_tool(part) and part.get("state") in WAITING]
