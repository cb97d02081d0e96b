"""Tool parts of a message: which they are, and the tool's name."""

from __future__ import annotations

from typing import Any

Part = dict[str, Any]

#: What the model, and older clients, are told of a denied call where nobody gave a reason.
DENIED = "Tool call execution denied."
#: Calls that nobody will answer any more once the turn is cut off.
UNANSWERED = ("input-streaming", "input-available", "approval-responded")


def is_static_tool(part: Part) -> bool:
    """A call of a tool that clients know by its type `tool-NAME`."""
    return str(part.get("type", "")).startswith("tool-")


def is_dynamic_tool(part: Part) -> bool:
    """A call of a tool that clients know only by the part's `toolName`."""
    return part.get("type") == "dynamic-tool"


def is_tool(part: Part) -> bool:
    """A call of any tool."""
    return is_dynamic_tool(part) or is_static_tool(part)


def tool_name(part: Part) -> str:
    """The tool's name; of a static part all that follows its first dash."""
    return str(part.get("toolName", "")) if is_dynamic_tool(part) else str(part["type"]).partition("-")[2]
