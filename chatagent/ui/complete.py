"""When pages send a message on by themselves: `lastAssistantMessageIsCompleteWithToolCalls` of the AI SDK."""

from __future__ import annotations

from typing import Any

from chatagent.ui.reading import last_step
from chatagent.ui.tool_part import is_tool


def asks_to_go_on(message: dict[str, Any]) -> bool:
    """Whether the last step of an answer holds tool calls and every one of them is answered.

    Pages that are told to send such a message on would send one that has ended for ever.
    """
    calls = [part for part in last_step(message) if is_tool(part) and not part.get("providerExecuted")]
    return bool(calls) and all(_is_answered(part) for part in calls)


def _is_answered(part: dict[str, Any]) -> bool:
    if part["state"] == "output-available":
        return part.get("preliminary") is not True
    return part["state"] in ("output-error", "output-denied")
