"""Runs of tasks: what one is told of its parents, and how code that runs anywhere finds who starts further ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

from chatagent.child import Ended, NewRun, Trace
from chatagent.errors import ConfigError
from chatagent.signal import AbortSignal

Chunk = Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class TaskRun:
    """The run that a task's code is in; the second parameter of its function, if it has one.

    `signal` aborts when the run is cancelled, runs out of time or is moved to another worker; `stop_signal` in the
    first two cases alone. `attempt` counts from 1.
    """

    task: str
    run_id: str
    session_id: str
    attempt: int
    trace: Trace
    signal: AbortSignal
    stop_signal: AbortSignal
    #: What this attempt has injected into other chats, and how often.
    injected: Counter[str] = field(default_factory=Counter, repr=False)


class Launcher(Protocol):
    """What the runtime does for code that starts tasks."""

    async def start(self, run: NewRun) -> None:
        """Start a run, or find it, with the trace of the code that calls. Raises: StoreDown."""

    async def wait(self, run_id: str) -> Ended:
        """How a run ended, once it has; a stop of the caller cancels it. Raises: NotFound."""

    async def append(
        self, session_id: str, turn: int | None, writer: str, number: int, chunks: Sequence[Chunk]
    ) -> bool:
        """Write raw chunks into another session while a turn of it runs (that one, if it is given); whether it did."""

    async def inject(self, session_id: str, messages: Sequence[Chunk]) -> None:
        """Put model messages into another chat; an attempt that is repeated puts nothing twice. Raises: NotFound."""

    def read(self, session_id: str) -> AsyncIterator[dict[str, Any]]:
        """The chunks of a session's current or last turn, to its end. Raises: NotFound."""

    async def ask(self, agent: Any, chat_id: str, message: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Send a message to a chat with `agent`; gives the answering message as it grows. A repeated id attaches."""
        yield {}  # pragma: no cover


#: Writes a raw chunk into the log of what this code answers.
Outlet = Callable[[Chunk], Awaitable[None]]

_launcher: ContextVar[Launcher | None] = ContextVar("chatagent_launcher", default=None)
_outlet: ContextVar[Outlet | None] = ContextVar("chatagent_outlet", default=None)
_run: ContextVar[TaskRun | None] = ContextVar("chatagent_task_run", default=None)


def enter_launcher(launcher: Launcher) -> None:
    """Let the code of this context, and of all that it starts, start tasks."""
    _launcher.set(launcher)


def enter_outlet(outlet: Outlet) -> None:
    """Set where raw chunks of this context go."""
    _outlet.set(outlet)


def enter_task_run(run: TaskRun) -> None:
    """Make `run` that of this context."""
    _run.set(run)


def current_launcher() -> Launcher:
    """Who starts tasks here. Raises: ConfigError outside of a worker."""
    launcher = _launcher.get()
    if launcher is None:
        raise ConfigError(
            "tasks are started here by agents, hooks, tools and tasks that a worker runs; "
            "elsewhere use chatagent.redis.task.Tasks(backend, dispatch).trigger(task, payload)"
        )
    return launcher


def current_outlet() -> Outlet | None:
    """Where raw chunks of this code go; None where nothing is answered."""
    return _outlet.get()


def current_task_run() -> TaskRun | None:
    """The run of a task that this code is in; None in agents and elsewhere."""
    return _run.get()
