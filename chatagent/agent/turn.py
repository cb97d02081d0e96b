"""The turn: what an agent is given to answer one message, and how code anywhere below finds it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar

from chatagent.agent.event import ModelMessage, UIMessage
from chatagent.errors import ConfigError
from chatagent.signal import AbortSignal

C = TypeVar("C")


@dataclass
class Turn(Generic[C]):
    """One message being answered.

    `signal` aborts on a stop and on a cancel; `stop_signal` and `cancel_signal` on theirs alone. `continuation` says
    that another process served the chat before. `attempt` is above 1 after a crash.
    """

    chat_id: str
    session_id: str
    run_id: str
    number: int
    trigger: str
    client_data: C
    ui_messages: list[UIMessage]
    #: The agent's model, else the deployment's (`CHATAGENT_MODEL`).
    model: str
    signal: AbortSignal
    stop_signal: AbortSignal
    cancel_signal: AbortSignal
    to_model_messages: Callable[[list[UIMessage]], list[ModelMessage]]
    pipe: Callable[[Any], Awaitable[UIMessage]]
    write: Callable[[dict[str, Any]], None]
    message_id: str | None = None
    body: dict[str, Any] = field(default_factory=dict)
    metadata: Any = None
    user: str | None = None
    tags: tuple[str, ...] = ()
    attempt: int = 1
    continuation: bool = False
    previous_run_id: str | None = None

    @cached_property
    def messages(self) -> list[ModelMessage]:
        """The conversation in the form that litellm takes; after a crash it ends with the steps that were done."""
        return self.to_model_messages(self.ui_messages)

    @property
    def stopped(self) -> bool:
        """The user stopped this turn."""
        return self.stop_signal.aborted


_current: ContextVar[Turn[Any] | None] = ContextVar("chatagent_turn", default=None)


def current_turn() -> Turn[Any]:
    """The turn that this code runs in. Raises: ConfigError outside of one."""
    turn = _current.get()
    if turn is None:
        raise ConfigError("there is no turn here: call this from an agent, its hooks or its tools")
    return turn


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


class Response:
    """Writes single chunks into the answer of the current turn (`chat.response`)."""

    def write(self, chunk: dict[str, Any]) -> None:
        """Send one chunk; a `data-…` part stays in the message unless it is `transient`."""
        current_turn().write(chunk)


#: The answer of the current turn.
response = Response()
