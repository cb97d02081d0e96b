"""When pages send a message on by themselves: `lastAssistantMessageIsCompleteWithToolCalls` of the AI SDK."""

from __future__ import annotations

from typing import Any

from chatagent.ui.reading import last_step
from chatagent.ui.tool_part import is_tool

#: A preliminary output counts as well: older clients (ai 5, ai 6 before 6.0.289, ai 7 before 7.0.107) do not see that.
_ANSWERED = ("output-available", "output-error", "output-denied")


def asks_to_go_on(message: dict[str, Any]) -> bool:
    """Whether the last step of an answer holds tool calls and every one of them is answered.

    Pages that are told to send such a message on would send one that has ended for ever.
    """
    calls = [part for part in last_step(message) if is_tool(part) and not part.get("providerExecuted")]
    return bool(calls) and all(part["state"] in _ANSWERED for part in calls)
