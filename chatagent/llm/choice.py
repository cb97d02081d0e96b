"""`tool_choice`: what it is to OpenAI, and whether the model kept to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chatagent.llm.call import ToolCall
from chatagent.llm.error import ToolChoiceViolation

#: `auto`, `none`, `required`, the name of a tool, or OpenAI's own object; None leaves it to the model.
ToolChoice = str | Mapping[str, Any] | None

_WORDS = ("auto", "none", "required")


def to_openai(choice: ToolChoice) -> str | Mapping[str, Any] | None:
    """The choice as providers take it."""
    if isinstance(choice, str) and choice not in _WORDS:
        return {"type": "function", "function": {"name": choice}}
    return choice


def violation(
    choice: str | Mapping[str, Any] | None, calls: Sequence[ToolCall], *, unwanted: bool
) -> ToolChoiceViolation | None:
    """What is wrong with the calls of a step, given OpenAI's form of the choice; `unwanted` ones were left out."""
    if choice == "required" and not calls:
        return ToolChoiceViolation("Model response did not contain a tool call even though tool choice was required.")
    if unwanted:
        return ToolChoiceViolation("Model response contained a tool call even though tool choice was none.")
    if isinstance(choice, Mapping):
        name = (choice.get("function") or {}).get("name")
        if name is not None and all(call.name != name for call in calls):
            return ToolChoiceViolation(f"Model response did not contain a call to the required tool '{name}'.")
    return None
