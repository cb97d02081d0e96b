"""The run of a task as it is handed on and found again: where it comes from, its ids, how it ended. Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

#: Starts of the ids of a task's run and of its session; what follows is the same in both.
RUN_PREFIX = "run_"
SESSION_PREFIX = "session_"
#: A run and its result are kept for this many seconds after its end.
RESULT_TTL_S = 86_400.0


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


def session_of_run(run_id: str) -> str:
    """The session of a task's run."""
    return SESSION_PREFIX + run_id.removeprefix(RUN_PREFIX)
