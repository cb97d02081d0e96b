"""Runs of tasks: what one is told of its parents, and how code that runs anywhere finds who starts further ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from chatagent.errors import ConfigError
from chatagent.signal import AbortSignal

#: Starts of the ids of a task's run and of its session; what follows is the same in both.
RUN_PREFIX = "run_"
SESSION_PREFIX = "session_"
#: A run and its result are kept for this many seconds after its end.
RESULT_TTL_S = 86_400.0

Chunk = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ancestor:
    """A run that waits above this one. `turn` is the turn of its chat that started us, None for a task."""

    session_id: str
    run_id: str
    turn: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What a run is told of where it comes from; travels as JSON in its input."""

    parent: Ancestor | None = None
    root: Ancestor | None = None
    #: `tool_call_id`, `tool_name` and `input` of the tool that started it.
    tool: dict[str, Any] | None = None
    #: `chat_id`, `turn`, `continuation` and `client_data` (as the client sent it) of the chat above.
    chat: dict[str, Any] | None = None
    #: The `chat.local` values of the parent.
    locals: dict[str, Any] = field(default_factory=dict)
    user: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Trace:
        """The same from JSON."""
        above = [Ancestor(**value[name]) if value.get(name) else None for name in ("parent", "root")]
        return cls(
            parent=above[0],
            root=above[1],
            tool=value.get("tool"),
            chat=value.get("chat"),
            locals=value.get("locals") or {},
            user=value.get("user"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run to be started. The same `run_id` again starts nothing: it finds the run that is there."""

    task: str
    run_id: str
    payload: Any
    queue: str | None = None
    ttl_s: float = RESULT_TTL_S

    @property
    def session_id(self) -> str:
        return session_of_run(self.run_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a run ended: with an `output`, or an `error` (`name` and `message`)."""

    output: Any = None
    error: dict[str, Any] | None = None


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
            "elsewhere use chatagent.redis.Tasks(backend, dispatch).trigger(task, payload)"
        )
    return launcher


def current_outlet() -> Outlet | None:
    """Where raw chunks of this code go; None where nothing is answered."""
    return _outlet.get()


def current_task_run() -> TaskRun | None:
    """The run of a task that this code is in; None in agents and elsewhere."""
    return _run.get()


def session_of_run(run_id: str) -> str:
    """The session of a task's run."""
    return SESSION_PREFIX + run_id.removeprefix(RUN_PREFIX)
