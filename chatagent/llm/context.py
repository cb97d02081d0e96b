"""What `stream_text` finds by itself: the turn that it runs in, as far as models and tools are concerned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, replace
from typing import Any

from chatagent.errors import ConfigError
from chatagent.ids import new_id
from chatagent.llm.plan import PlanStep
from chatagent.llm.system import System
from chatagent.llm.tool import Tool
from chatagent.signal import AbortSignal


@dataclass(frozen=True, kw_only=True)
class StreamOptions:
    """What clients see of a model's answer."""

    #: The text for an exception. Without it errors of the model are masked and those of tools shown as they are.
    on_error: Callable[[BaseException], str] | None = None
    #: Mask the errors of tools too; the model reads them whole in any case.
    redact_tool_errors: bool = False
    send_reasoning: bool = True
    send_sources: bool = False
    #: Metadata for a chunk: called with the chunk, `start` to `finish`. A `finish-step` carries `usage` and
    #: `finishReason` besides, a `finish` the `totalUsage` (dicts in the AI SDK's names).
    message_metadata: Callable[[dict[str, Any]], Any] | None = None
    #: Makes the ids of answers; the runtime asks it, because an answer has its id before a model is called.
    generate_message_id: Callable[[], str] | None = None

    def merged(self, **overrides: Any) -> StreamOptions:
        """With other values for some options. Raises: ConfigError for an option that does not exist."""
        if unknown := overrides.keys() - {each.name for each in fields(self)}:
            raise ConfigError(f"no stream option is named {', '.join(sorted(unknown))}")
        return replace(self, **overrides)


class OnlyOnce:
    """Something that one `stream_text` of a turn takes; later ones of the same turn do without."""

    def __init__(self) -> None:
        self._taken = False

    def take(self) -> bool:
        """True for the first caller."""
        taken, self._taken = self._taken, True
        return not taken


@dataclass(frozen=True, kw_only=True)
class ModelContext:
    """Set by the runtime before the agent runs."""

    signal: AbortSignal | None = None
    tools: Mapping[str, Tool] = field(default_factory=dict)
    system: System | None = None
    #: The UI message that this turn continues: its pending calls are answered first, its steps count.
    response: Mapping[str, Any] | None = None
    #: The last `step-start` of `response` is not closed yet: the first step goes on inside it.
    open_step: bool = False
    new_id: Callable[[], str] = new_id
    #: A tool whose output is larger as JSON has failed.
    max_output_bytes: int | None = None
    options: StreamOptions = field(default_factory=StreamOptions)
    #: Called after every model call with `Usage.to_dict()`, also when the answer is stopped afterwards.
    on_usage: Callable[[dict[str, Any]], None] | None = None
    #: The runtime's own look between steps: called before every model call of the turn's first whole answer, before
    #: the author's `prepare_step`.
    plan_step: PlanStep | None = None
    #: The right to continue `response`, and the right to be planned.
    claim: OnlyOnce = field(default_factory=OnlyOnce)
    lead: OnlyOnce = field(default_factory=OnlyOnce)

    def beside(self) -> ModelContext:
        """For an answer that is not the turn's own, as a tool may stream one: with nothing of the turn's to take."""
        return replace(self, tools={}, system=None, response=None, open_step=False, plan_step=None)


#: The context of the running turn; `None` outside of one.
current_context: ContextVar[ModelContext | None] = ContextVar("chatagent_model_context", default=None)
