"""Between two steps of an answer: what is told about it, and what may be changed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from chatagent.llm.step import Step
from chatagent.llm.usage import Usage

Message = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class NextStep:
    """An answer before its next model call. `steps` are also those of an earlier attempt or continuation."""

    number: int
    model: str
    messages: Sequence[Message]
    steps: Sequence[Step]
    #: Of this answer so far, and of its last model call; unknown before the first one.
    usage: Usage = field(default_factory=Usage)
    last_usage: Usage = field(default_factory=Usage)
    #: Where it is looked at: between two steps. (Between two turns there is no next step.)
    source: Literal["inner"] = "inner"


class StepPlan(TypedDict, total=False):
    """What changes from the next step on, for the rest of the answer."""

    replace: Sequence[Message]
    """The conversation, instead of what it was."""
    append: Sequence[Message]
    """Messages that join the conversation, after `replace`."""
    system: str
    """Instructions that are added to the system prompt of this answer."""
    chunks: Sequence[dict[str, Any]]
    """UI message chunks for the client, written between the two steps."""


PlanStep = Callable[[NextStep], Awaitable[StepPlan | None]]
