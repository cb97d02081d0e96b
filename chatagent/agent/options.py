"""What an agent may set for itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypedDict

from chatagent.agent.event import C, ModelMessage, UIMessage
from chatagent.record import Busy

#: Turns of one run, unless the agent says otherwise.
MAX_TURNS = 100
#: Seconds that a loop stays in its process at least, while it waits for its next message.
IDLE_TIMEOUT_S = 30.0
#: Seconds that a run waits for its next message, warm or suspended.
TURN_TIMEOUT_S = 3600.0
#: Seconds that a token is valid which a run mints.
TOKEN_TTL_S = 3600.0


class StreamOptions(TypedDict, total=False):
    """How an answer of a model becomes a stream; per agent, or per turn by `chat.set_ui_message_stream_options`."""

    on_error: Callable[[BaseException], str]
    """The text that clients see for an error; without it they are told nothing of it."""
    redact_tool_errors: bool
    send_reasoning: bool
    """On unless set to False."""
    send_sources: bool
    """Off unless set to True."""
    message_metadata: Callable[[dict[str, Any]], Any]
    """Called with each chunk from `start` to `finish`; what it returns joins the message's metadata."""
    generate_message_id: Callable[[], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolsFor(Generic[C]):
    """What a function that chooses the tools of a turn is told."""

    chat_id: str
    turn: int
    continuation: bool
    client_data: C


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingBatch(Generic[C]):
    """Messages that arrived while a turn runs, at a boundary between two of its steps."""

    messages: list[UIMessage]
    model_messages: list[ModelMessage]
    steps: Sequence[Any]
    step_number: int
    chat_id: str
    turn: int
    client_data: C


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingMessages(Generic[C]):
    """What an agent does with messages that arrive during a turn.

    `should_inject` is asked once per boundary with the whole batch: False leaves them to turns of their own.
    `prepare` turns them into model messages; `on_received` and `on_injected` are told.
    """

    should_inject: Callable[[PendingBatch[C]], bool | Awaitable[bool]]
    prepare: Callable[[PendingBatch[C]], Sequence[ModelMessage] | Awaitable[Sequence[ModelMessage]]] | None = None
    on_received: Callable[[PendingBatch[C]], Awaitable[None] | None] | None = None
    on_injected: Callable[[PendingBatch[C]], Awaitable[None] | None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """What an agent sets for itself; `None` leaves it to the deployment. Times in seconds."""

    client_data: Any = None
    tools: Any = ()
    system: Any = None
    model: str | None = None
    queue: str | None = None
    concurrency_limit: int | None = None
    max_attempts: int | None = None
    max_turns: int = MAX_TURNS
    max_duration_s: float | None = None
    turn_timeout_s: float = TURN_TIMEOUT_S
    idle_timeout_s: float | None = None
    preload_idle_timeout_s: float | None = None
    preload_timeout_s: float | None = None
    exit_after_preload_idle: bool = False
    token_ttl_s: float = TOKEN_TTL_S
    stream_options: StreamOptions = field(default_factory=StreamOptions)
    on_error: Callable[[BaseException], str] | None = None
    busy: Busy = "enqueue"
    pending_messages: PendingMessages[Any] | None = None
    compaction: Any = None
    actions: Any = None
    data_parts: Mapping[str, Any] | None = None
    message_metadata_schema: Any = None
    description: str = ""
    examples: Sequence[str] = ()

    @property
    def errors(self) -> Callable[[BaseException], str] | None:
        """The text of an error for clients, if the agent has its own words."""
        return self.on_error or self.stream_options.get("on_error")
