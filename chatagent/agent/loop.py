"""Custom agents: a function that runs its own loop over the turns of a chat, and what it is given.

The function is called once per run and keeps its variables from turn to turn, as long as its process lives. While it
waits for a message it holds no worker slot. After a crash or a deploy the next message calls it anew, with the history.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol, Unpack

from chatagent.agent.agent import Agent, AgentKeywords, read_options
from chatagent.agent.event import UIMessage
from chatagent.agent.hook import HOOKS
from chatagent.agent.turn import Turn
from chatagent.errors import ConfigError
from chatagent.signal import AbortSignal


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTaskPayload:
    """One thing that happened in the chat and that the loop is to answer.

    `trigger` is `submit-message`, `regenerate-message`, `preload` (there is no message yet) or `action`. `messages` is
    what a `MessageAccumulator` takes: the whole conversation where the function starts and for a regeneration, else
    `message` alone. `history` is what is stored, without `message`.
    """

    chat_id: str
    session_id: str
    run_id: str
    trigger: str
    #: The turn's number in the chat, from 0.
    turn: int = 0
    message: UIMessage | None = None
    messages: list[UIMessage] = field(default_factory=list)
    history: list[UIMessage] = field(default_factory=list)
    message_id: str | None = None
    #: What the client sent along, as it came, and as the agent's `client_data` model.
    metadata: Any = None
    client_data: Any = None
    action: Any = None
    #: An earlier run served this chat.
    continuation: bool = False
    previous_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class TurnEnd:
    """Where a committed turn ends: in the stream of answers, and in that of what clients sent."""

    last_event_id: str
    session_in_event_id: str


class Loop(Protocol):
    """What the runtime does for a running loop."""

    @property
    def signal(self) -> AbortSignal:
        """Aborts when the loop has to end: its process shuts down, or another one has the chat."""

    @property
    def turn(self) -> Turn[Any] | None:
        """The turn that is open."""

    async def wait(self, timeout_s: float | None, signal: AbortSignal | None = None) -> ChatTaskPayload | None:
        """End the open turn and open the next one; None when none came in time."""

    async def take(self, timeout_s: float | None) -> ChatTaskPayload | None:
        """The next message, inside the open turn if there is one."""

    async def peek(self) -> ChatTaskPayload | None:
        """What `take` would give at once."""

    async def finish(self, error: BaseException | None = None) -> TurnEnd:
        """Commit the open turn, as failed with `error`."""


LoopFunction = Callable[..., Awaitable[Any]]

_current: ContextVar[Loop | None] = ContextVar("chatagent_loop", default=None)


def enter_loop(loop: Loop) -> None:
    """Make `loop` that of this context and of everything started from it."""
    _current.set(loop)


def find_loop() -> Loop | None:
    """The loop that this code runs in, if it does."""
    return _current.get()


def current_loop() -> Loop:
    """The loop that this code runs in. Raises: ConfigError outside of one."""
    loop = _current.get()
    if loop is None:
        raise ConfigError("there is no loop here: call this from a function decorated with @chat.custom_agent")
    return loop


class CustomAgent(Agent[Any]):
    """An agent whose function is a loop: called with a payload, and with the loop's signal if it takes two."""

    def __init__(
        self, id: str, run: LoopFunction, *, client_data: Any = None, **settings: Unpack[AgentKeywords[Any]]
    ) -> None:
        if not inspect.iscoroutinefunction(run):
            raise ConfigError(f"custom agent {id!r}: its function must be `async def`; it waits for messages")
        hooks = [name for name in HOOKS if name in settings]
        if hooks:
            raise ConfigError(f"custom agent {id!r} has no hooks ({', '.join(hooks)}): write that code into its loop")
        super().__init__(id, run, read_options(id, {**settings, "client_data": client_data}))
        self._takes_signal = len(inspect.signature(run).parameters) > 1

    async def start(self, payload: ChatTaskPayload, signal: AbortSignal) -> None:
        """Call the function, once per run."""
        run: LoopFunction = self.run
        await (run(payload, signal) if self._takes_signal else run(payload))


def custom_agent(
    id: str, *, client_data: Any = None, **settings: Unpack[AgentKeywords[Any]]
) -> Callable[[LoopFunction], CustomAgent]:
    """Make the decorated coroutine function an agent that runs its own loop (see `chat.create_session`).

    It takes the options of `chat.agent`, but no hooks. It is given a `ChatTaskPayload`, and an `AbortSignal` if it has
    a second parameter. What it raises ends the open turn with an error; the next message calls it anew.
    """
    return lambda run: CustomAgent(id, run, client_data=client_data, **settings)
