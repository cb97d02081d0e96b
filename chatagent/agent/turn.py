"""The turn: what an agent is given to answer one message, and how code anywhere below finds it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, Unpack, cast

from chatagent.agent.event import C, ModelMessage, RunContext, UIMessage
from chatagent.agent.history import History
from chatagent.agent.options import StreamOptions
from chatagent.agent.suggestion import no_option
from chatagent.duration import Duration, seconds
from chatagent.errors import ConfigError
from chatagent.signal import AbortSignal


class Control(Protocol):
    """What the runtime does for a running turn."""

    @property
    def history(self) -> History:
        """The conversation."""

    @property
    def prompt(self) -> Any:
        """The system prompt of the run."""

    def write(self, chunk: Mapping[str, Any]) -> None:
        """Send one chunk into the answer."""

    async def pipe(self, source: Any) -> UIMessage:
        """Stream a source into the answer; returns the message so far."""

    def defer(self, work: Awaitable[Any]) -> None:
        """Let work run beside the turn."""

    async def inject(self, messages: Sequence[ModelMessage]) -> None:
        """Put model messages into the conversation at the next step, else the next turn."""

    def set_prompt(self, prompt: Any) -> None:
        """Set the system prompt of the run."""

    def set_stream_options(self, options: StreamOptions) -> None:
        """Override stream options for this turn."""

    def set_turn_timeout(self, turn_timeout_s: float) -> None:
        """How long the run waits for the next message."""

    def set_idle_timeout(self, idle_timeout_s: float) -> None:
        """How long the run stays warm."""

    def end_run(self) -> None:
        """End the run with this turn."""

    def close(self, reason: str | None) -> None:
        """Close the session with this turn."""


@dataclass
class Turn(Generic[C]):
    """One message being answered.

    `signal` aborts on a stop and on a cancel; `stop_signal` and `cancel_signal` on theirs alone. `continuation` says
    that another run served the chat before. `attempt` is above 1 after a crash. `messages` is the conversation in the
    form that litellm takes; after a crash it ends with the steps that were done.
    """

    chat_id: str
    session_id: str
    run_id: str
    number: int
    trigger: str
    client_data: C
    messages: list[ModelMessage]
    tools: Mapping[str, Any]
    #: The agent's model, else the deployment's (`CHATAGENT_MODEL`).
    model: str
    signal: AbortSignal
    stop_signal: AbortSignal
    cancel_signal: AbortSignal
    to_model_messages: Callable[[list[UIMessage]], list[ModelMessage]]
    control: Control = field(repr=False)
    ctx: RunContext = field(repr=False)
    message_id: str | None = None
    body: dict[str, Any] = field(default_factory=dict)
    metadata: Any = None
    user: str | None = None
    tags: tuple[str, ...] = ()
    attempt: int = 1
    continuation: bool = False
    previous_run_id: str | None = None
    preloaded: bool = False
    #: Tokens (and cost, where it is known) of the turn before this one in the chat, and of all before it.
    previous_turn_usage: dict[str, Any] | None = None
    total_usage: dict[str, Any] = field(default_factory=dict)

    @property
    def ui_messages(self) -> list[UIMessage]:
        """The conversation as clients hold it; ends with what is to be answered."""
        return list(self.control.history.messages)

    @property
    def history(self) -> History:
        """The conversation, to be changed."""
        return self.control.history

    @property
    def stopped(self) -> bool:
        """The user stopped this turn."""
        return self.stop_signal.aborted

    async def pipe(self, source: Any) -> UIMessage:
        """Stream `source` into the answer (see `chat.pipe`)."""
        return await self.control.pipe(source)

    def write(self, chunk: Mapping[str, Any]) -> None:
        """Send one chunk into the answer (see `chat.response.write`)."""
        self.control.write(chunk)


_current: ContextVar[Turn[Any] | None] = ContextVar("chatagent_turn", default=None)


def current_turn() -> Turn[Any]:
    """The turn that this code runs in. Raises: ConfigError outside of one."""
    turn = _current.get()
    if turn is None:
        raise ConfigError("there is no turn here: call this from an agent, its hooks or its tools")
    return turn


def find_turn() -> Turn[Any] | None:
    """The turn that this code runs in, if it does."""
    return _current.get()


def enter_turn(turn: Turn[Any]) -> None:
    """Make `turn` the current one in this context and in all tasks and threads started from it."""
    _current.set(turn)


def is_stopped() -> bool:
    """Whether the user stopped the current turn."""
    return current_turn().stopped


async def pipe(source: Any) -> UIMessage:
    """Stream `source` into the answer of the current turn, from any depth; returns the message so far.

    `source`: a `stream_text` result, a stream of litellm or OpenAI chunks, a generator (async or not) of `str` or
    UI message chunks, a `str`, or a UIMessage.
    """
    return await current_turn().pipe(source)


def defer(work: Awaitable[Any]) -> None:
    """Let `work` run beside the answer; `on_turn_complete` waits up to 5 s for it. Its errors are logged."""
    current_turn().control.defer(work)


def set_ui_message_stream_options(**options: Unpack[StreamOptions]) -> None:
    """Override the agent's stream options for the rest of this turn. Raises: ConfigError for one that there is not."""
    for name in options.keys() - StreamOptions.__annotations__.keys():
        raise ConfigError(f"set_ui_message_stream_options {no_option(name, StreamOptions.__annotations__)}")
    current_turn().control.set_stream_options(options)


def set_turn_timeout(timeout: Duration) -> None:
    """How long this run waits for its next message, from the end of this turn."""
    current_turn().control.set_turn_timeout(seconds(timeout))


def set_idle_timeout(timeout: Duration) -> None:
    """How long this run stays warm after its turns; 0 suspends it at once."""
    current_turn().control.set_idle_timeout(seconds(timeout))


def end_run() -> None:
    """End the run with this turn: the next message is served by a new one, with the history."""
    current_turn().control.end_run()


def close(reason: str | None = None) -> None:
    """End the conversation for good with this turn: later messages are refused."""
    current_turn().control.close(reason)


class Response:
    """Writes single chunks into the answer of the current turn (`chat.response`)."""

    def write(self, chunk: Mapping[str, Any]) -> None:
        """Send one chunk; a `data-…` part stays in the message unless it is `transient`."""
        current_turn().write(chunk)


class Prompt:
    """The system prompt of the run (`chat.prompt`): `chat.prompt.set(…)`, then `chat.prompt()`."""

    def __call__(self) -> Any:
        return current_turn().control.prompt

    def set(self, prompt: Any) -> None:
        """Use `prompt` for the model calls of this run: text, or a message whose parts may carry `cache_control`."""
        current_turn().control.set_prompt(prompt)


class _CurrentHistory:
    """The history of whatever turn the code runs in."""

    def __getattr__(self, name: str) -> Any:
        return getattr(current_turn().history, name)


#: The answer of the current turn.
response = Response()
#: The system prompt of the current run.
prompt = Prompt()
#: The conversation of the current turn.
history = cast(History, _CurrentHistory())
