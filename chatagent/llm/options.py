"""What a call of `stream_text` may be given, and what its callbacks are told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from chatagent.llm.answer import Answer
from chatagent.llm.choice import ToolChoice
from chatagent.llm.plan import Message, NextStep
from chatagent.llm.step import Step
from chatagent.llm.stop import StopCondition
from chatagent.llm.system import System
from chatagent.llm.tool import Tool

Tools = Mapping[str, Tool] | Iterable[Tool | Callable[..., Any]]


class StepSettings(TypedDict, total=False):
    """What `prepare_step` may change for one step; what is left out stays as it was."""

    model: str
    messages: Sequence[Message]
    system: System | None
    tools: Sequence[str]
    """Names of the tools that are offered in this step."""
    tool_choice: ToolChoice
    params: Mapping[str, Any]
    """litellm parameters, over those of the call."""


PrepareStep = Callable[[NextStep], StepSettings | Awaitable[StepSettings | None] | None]
OnFinish = Callable[[Answer], object]
OnStepFinish = Callable[[Step], object]
OnError = Callable[[BaseException], object]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `stream_text` was asked for."""

    model: str
    messages: Sequence[Message]
    system: System | None
    tools: Mapping[str, Tool]
    tool_choice: ToolChoice
    stop_when: StopCondition | Iterable[StopCondition]
    prepare_step: PrepareStep | None
    max_retries: int
    fallbacks: Sequence[str]
    on_step_finish: OnStepFinish | None
    on_finish: OnFinish | None
    on_error: OnError | None
    params: Mapping[str, Any] = field(default_factory=dict)
