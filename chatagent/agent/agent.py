"""Agents: a function that answers turns, its options and its hooks."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypedDict, TypeVar, Unpack, overload

from pydantic import BaseModel, TypeAdapter, ValidationError

from chatagent.agent.event import ChatStart, TurnComplete, TurnStart
from chatagent.agent.turn import Turn
from chatagent.errors import BadRequest, ConfigError

C = TypeVar("C")
M = TypeVar("M", bound=BaseModel)
E = TypeVar("E")

Run = Callable[[Turn[C]], Any]
Hook = Callable[[E], Awaitable[None] | None]

#: Agent ids are Celery task names and part of token scopes.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """What an agent may set for itself; `None` leaves it to the deployment."""

    #: Model of what clients send along (`clientData`, `metadata`); validated every turn.
    client_data: Any = None
    tools: Sequence[Any] = ()
    #: Model in litellm's names, for `turn.model`.
    model: str | None = None
    #: Celery queue of its turns.
    queue: str | None = None
    #: Attempts at one message before it is answered with an error.
    max_attempts: int | None = None
    #: Seconds that a run stays warm after a turn.
    idle_timeout_s: float | None = None
    #: Text of the error chunk for an exception; the default tells nothing.
    on_error: Callable[[BaseException], str] | None = None
    description: str = ""
    examples: Sequence[str] = ()


@dataclass(eq=False)
class Agent(Generic[C]):
    """One agent. Its id is the name of its Celery task, so Flower groups turns by agent."""

    id: str
    run: Run[C]
    options: AgentOptions = field(default_factory=AgentOptions)
    hooks: dict[str, list[Hook[Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise ConfigError(f"agent id {self.id!r}: use letters, digits, '.', '_' and '-', at most 128")

    @property
    def description(self) -> str:
        """What it is for: the option, else the first line of its docstring."""
        return self.options.description or (self.run.__doc__ or "").strip().split("\n")[0]

    def on_chat_start(self, hook: Hook[ChatStart[C]]) -> Hook[ChatStart[C]]:
        """Call `hook` before the first turn of a chat, once per chat."""
        return self._add("on_chat_start", hook)

    def on_turn_start(self, hook: Hook[TurnStart[C]]) -> Hook[TurnStart[C]]:
        """Call `hook` before every turn."""
        return self._add("on_turn_start", hook)

    def on_turn_complete(self, hook: Hook[TurnComplete[C]]) -> Hook[TurnComplete[C]]:
        """Call `hook` after every turn is committed, also after one that failed or was stopped."""
        return self._add("on_turn_complete", hook)

    def read_client_data(self, metadata: Any) -> C:
        """What a client sent along, as the author's model; nothing counts as an empty object. Raises: BadRequest."""
        if self.options.client_data is None:
            return metadata  # type: ignore[no-any-return]
        try:
            given = {} if metadata is None else metadata
            return TypeAdapter[C](self.options.client_data).validate_python(given)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(step) for step in ("metadata", *first["loc"]))
            raise BadRequest(first["msg"], field=place) from error

    def _add(self, name: str, hook: Hook[E]) -> Hook[E]:
        self.hooks.setdefault(name, []).append(hook)
        return hook


class HookOptions(TypedDict, Generic[C], total=False):
    """Hooks as keyword arguments of `chat.agent`."""

    on_chat_start: Hook[ChatStart[C]]
    on_turn_start: Hook[TurnStart[C]]
    on_turn_complete: Hook[TurnComplete[C]]


@overload
def agent(
    id: str,
    *,
    client_data: type[M],
    tools: Sequence[Any] = ...,
    model: str | None = ...,
    queue: str | None = ...,
    max_attempts: int | None = ...,
    idle_timeout_s: float | None = ...,
    on_error: Callable[[BaseException], str] | None = ...,
    description: str = ...,
    examples: Sequence[str] = ...,
    **hooks: Unpack[HookOptions[M]],
) -> Callable[[Run[M]], Agent[M]]: ...
@overload
def agent(
    id: str,
    *,
    client_data: None = ...,
    tools: Sequence[Any] = ...,
    model: str | None = ...,
    queue: str | None = ...,
    max_attempts: int | None = ...,
    idle_timeout_s: float | None = ...,
    on_error: Callable[[BaseException], str] | None = ...,
    description: str = ...,
    examples: Sequence[str] = ...,
    **hooks: Unpack[HookOptions[Any]],
) -> Callable[[Run[Any]], Agent[Any]]: ...
def agent(
    id: str,
    *,
    client_data: Any = None,
    tools: Sequence[Any] = (),
    model: str | None = None,
    queue: str | None = None,
    max_attempts: int | None = None,
    idle_timeout_s: float | None = None,
    on_error: Callable[[BaseException], str] | None = None,
    description: str = "",
    examples: Sequence[str] = (),
    **hooks: Unpack[HookOptions[Any]],
) -> Callable[[Run[Any]], Agent[Any]]:
    """Make the decorated function an agent: it is called once per turn and returns (or pipes) a stream.

    The function may be a coroutine function, a plain function (it runs in a thread), or a generator of either kind.
    """
    options = AgentOptions(
        client_data=client_data,
        tools=tuple(tools),
        model=model,
        queue=queue,
        max_attempts=max_attempts,
        idle_timeout_s=idle_timeout_s,
        on_error=on_error,
        description=description,
        examples=tuple(examples),
    )
    given: dict[str, list[Hook[Any]]] = {name: [hook] for name, hook in hooks.items()}  # type: ignore[list-item]
    return lambda run: Agent(id, run, options, given)
