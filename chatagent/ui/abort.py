"""How an answer ends early: what is open gets closed, so that browsers and the store hold the same."""

from __future__ import annotations

from typing import Any

from chatagent.ui.tool_part import is_tool

UIMessage = dict[str, Any]


def cleanup_aborted_parts(message: UIMessage) -> UIMessage:
    """`message` without tool calls whose input never came in whole, and with its text and reasoning closed."""
    parts = []
    for part in message.get("parts", ()):
        if is_tool(part) and part.get("state") == "input-streaming":
            continue
        streaming = part["type"] in ("text", "reasoning") and part.get("state") == "streaming"
        parts.append({**part, "state": "done"} if streaming else part)
    return {**message, "parts": parts}
