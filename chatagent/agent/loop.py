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
from chatagent.agent.hook import HOOKS, F
from chatagent.agent.parameter import annotation, check_takes, second_parameter
from chatagent.agent.task_run import TaskRun
from chatagent.agent.turn import Turn, find_turn
from chatagent.child import Trace
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
    #: The other fields of the request.
    body: dict[str, Any] = field(default_factory=dict)
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

    def captured(self, message: UIMessage, error: BaseException | None) -> None:
        """A source was streamed to its end, or to its `error`; `message` is the answer by then."""

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
        raise ConfigError("there is no loop here: call this from a @task over a chat.ChatTaskPayload or a custom agent")
    return loop


class CustomAgent(Agent[Any]):
    """An agent whose function is a loop: called with a payload, and with the loop's signal if it takes two.

    A second parameter that is annotated as a `TaskRun` is given one; with `gives_run` one without annotation, too.
    """

    def __init__(
        self,
        id: str,
        run: LoopFunction,
        *,
        client_data: Any = None,
        gives_run: bool = False,
        **settings: Unpack[AgentKeywords[Any]],
    ) -> None:
        self._what = f"{'the chat task' if gives_run else 'custom agent'} {id!r}"
        if not inspect.iscoroutinefunction(run):
            raise ConfigError(f"{self._what}: its function must be `async def`; it waits for messages")
        for name in HOOKS:
            if settings.get(name) is not None:
                self.add(name, run)
        self._second = second_parameter(run)
        self._wants_run = self._second is not None and _wants_run(run, self._second.name, gives_run)
        super().__init__(id, run, read_options(id, {**settings, "client_data": client_data}))

    def add(self, name: str, hook: F) -> F:
        """Raises: ConfigError."""
        raise ConfigError(f"{self._what} has no hooks ({name}): write that code into its loop")

    async def start(self, payload: ChatTaskPayload, signal: AbortSignal) -> None:
        """Call the function, once per run."""
        run: LoopFunction = self.run
        given = _task_run(self.id, payload, signal) if self._wants_run else signal
        match self._second:
            case None:
                await run(payload)
            case inspect.Parameter(kind=inspect.Parameter.KEYWORD_ONLY, name=name):
                await run(payload, **{name: given})
            case _:
                await run(payload, given)

    def _check(self) -> None:
        check_takes(self.run, "the payload, and the signal if it wants", self._what, self._second)


def custom_agent(
    id: str, *, client_data: Any = None, **settings: Unpack[AgentKeywords[Any]]
) -> Callable[[LoopFunction], CustomAgent]:
    """Make the decorated coroutine function an agent that runs its own loop (see `chat.create_session`).

    It takes the options of `chat.agent`, but no hooks. It is given a `ChatTaskPayload`, and an `AbortSignal` if it has
    a second parameter. What it raises ends the open turn with an error; the next message calls it anew.
    """
    return lambda run: CustomAgent(id, run, client_data=client_data, **settings)


def _wants_run(function: LoopFunction, name: str, unless_annotated: bool) -> bool:
    wanted = annotation(function, name)
    if wanted in (TaskRun, AbortSignal):
        return wanted is TaskRun
    return unless_annotated and "signal" not in name


def _task_run(task: str, payload: ChatTaskPayload, signal: AbortSignal) -> TaskRun:
    """What a plain task is told of its run, for a loop that is written as one."""
    turn = find_turn()
    return TaskRun(
        task=task,
        run_id=payload.run_id,
        session_id=payload.session_id,
        attempt=1 if turn is None else turn.attempt,
        trace=Trace(),
        signal=signal,
        stop_signal=signal,
    )
