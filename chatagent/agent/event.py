"""What hooks are given: frozen events, generic in the author's client data. Fields follow the AI chat reference."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol

from typing_extensions import TypeVar

UIMessage = dict[str, Any]
ModelMessage = dict[str, Any]

#: The type of what clients send along; `chat.Turn` is a `chat.Turn[Any]`.
C = TypeVar("C", default=Any)
A = TypeVar("A", default=Any)

#: Why model messages are made: for the agent, to continue after a compaction, or as the compaction's own result.
Reason = Literal["run", "compaction-rebuild", "compaction-result"]


class Writer(Protocol):
    """Writes into the answer while its stream is open; a `data-…` chunk stays in it unless it is `transient`."""

    def write(self, chunk: dict[str, Any]) -> None:
        """Send one chunk."""

    async def merge(self, source: Any) -> UIMessage:
        """Stream a source (as `chat.pipe` does); returns the message so far."""


@dataclass(frozen=True, slots=True)
class RunContext:
    """Where the code runs: the Celery task of a turn, its session and its run."""

    agent: str
    session_id: str
    run_id: str
    attempt: int
    user: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot(Generic[C]):
    """A process takes up a run; fires before everything else."""

    ctx: RunContext
    chat_id: str
    run_id: str
    chat_access_token: str
    client_data: C
    continuation: bool
    previous_run_id: str | None
    preloaded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingToolCall:
    """A call that the partial answer left open, and where it stands among the parts."""

    tool_call_id: str
    tool_name: str
    input: Any
    part_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryBoot(Generic[C]):
    """An earlier attempt left half an answer. Return a `Recovery` to override what happens with it.

    `settled_messages` are committed; `in_flight_users` not answered yet, the interrupted one first.
    """

    ctx: RunContext
    chat_id: str
    run_id: str
    previous_run_id: str | None
    client_data: C
    cause: Literal["crashed", "shutdown"]
    settled_messages: list[UIMessage]
    in_flight_users: list[UIMessage]
    partial_assistant: UIMessage
    pending_tool_calls: list[PendingToolCall]
    writer: Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What is to become of half an answer; what is left out stays as it would be.

    `chain` is the history from here on (put the partial answer into it to keep it as it is). `recovered_turns` are
    the user messages that are still to be answered. `before_boot` runs first; if it fails, so does the turn.
    """

    chain: Sequence[UIMessage] | None = None
    recovered_turns: Sequence[UIMessage] | None = None
    before_boot: Callable[[], Awaitable[None] | None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preload(Generic[C]):
    """A run was started before there is a message."""

    ctx: RunContext
    chat_id: str
    run_id: str
    chat_access_token: str
    client_data: C
    writer: Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidateMessages:
    """Messages came in. Return them, or others; raise to refuse them."""

    messages: list[UIMessage]
    chat_id: str
    turn: int
    trigger: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HydrateMessages(Generic[C]):
    """The history is needed: what is returned becomes it. `incoming_messages` are not in `previous_messages`."""

    chat_id: str
    turn: int
    trigger: str
    incoming_messages: list[UIMessage]
    previous_messages: list[UIMessage]
    client_data: C
    continuation: bool
    previous_run_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareMessages(Generic[C]):
    """Model messages were made. Return those to use instead."""

    messages: list[ModelMessage]
    reason: Reason
    chat_id: str
    turn: int
    client_data: C


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatStart(Generic[C]):
    """The first message of a chat is about to be answered; fires once per chat."""

    ctx: RunContext
    chat_id: str
    messages: list[ModelMessage]
    client_data: C
    run_id: str
    chat_access_token: str
    continuation: bool
    previous_run_id: str | None
    preloaded: bool
    writer: Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnStart(Generic[C]):
    """A turn is about to run; `messages` and `ui_messages` end with what is to be answered."""

    ctx: RunContext
    chat_id: str
    messages: list[ModelMessage]
    ui_messages: list[UIMessage]
    turn: int
    run_id: str
    chat_access_token: str
    client_data: C
    continuation: bool
    previous_run_id: str | None
    preloaded: bool
    writer: Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnComplete(Generic[C]):
    """A turn is committed. `error` is set when it failed; `stopped` when the user stopped it.

    `response_message` is None when the turn has no answer; `raw_response_message` is the answer before a stop was
    tidied away. `last_event_id` is where a reader goes on that has seen this turn.
    """

    ctx: RunContext
    chat_id: str
    messages: list[ModelMessage]
    ui_messages: list[UIMessage]
    new_messages: list[ModelMessage]
    new_ui_messages: list[UIMessage]
    response_message: UIMessage | None
    raw_response_message: UIMessage | None
    turn: int
    run_id: str
    chat_access_token: str
    client_data: C
    last_event_id: str | None
    stopped: bool
    continuation: bool
    previous_run_id: str | None
    preloaded: bool
    usage: dict[str, Any] = field(default_factory=dict)
    total_usage: dict[str, Any] = field(default_factory=dict)
    finish_reason: str | None = None
    error: BaseException | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BeforeTurnComplete(TurnComplete[C]):
    """A turn is about to be committed; its stream is still open."""

    writer: Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class Action(Generic[C, A]):
    """A client sent an action. Change the chat with `chat.history`; return `chat.turn()` to have it answered."""

    action: A
    ctx: RunContext
    chat_id: str
    turn: int
    client_data: C
    ui_messages: list[UIMessage]
    messages: list[ModelMessage]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted(Generic[C]):
    """The conversation was summarised for the model. `step_number` is -1 between turns."""

    ctx: RunContext
    summary: str
    messages: list[ModelMessage]
    message_count: int
    usage: dict[str, Any]
    total_tokens: int | None
    input_tokens: int | None
    output_tokens: int | None
    step_number: int
    chat_id: str
    turn: int
    client_data: C
    writer: Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class _Idle(Generic[C]):
    phase: Literal["preload", "turn"]
    ctx: RunContext
    chat_id: str
    run_id: str
    client_data: C
    #: Of the turn phase: the last turn and the history.
    turn: int | None = None
    messages: list[ModelMessage] = field(default_factory=list)
    ui_messages: list[UIMessage] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatSuspend(_Idle[C]):
    """A run was idle for long enough: its process forgets it after this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatResume(_Idle[C]):
    """A suspended run goes on, in this process."""
