"""Agents: a function that answers turns, its options and its hooks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar, Unpack, get_args, overload

from pydantic import BaseModel, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import SchemaError

from chatagent.agent.check import checked_id, first_fault
from chatagent.agent.data_part import DataParts
from chatagent.agent.event import C
from chatagent.agent.hook import HOOKS, HookOptions, Hooks
from chatagent.agent.options import AgentOptions, PendingMessages, StreamOptions, ToolsFor
from chatagent.agent.parameter import check_takes
from chatagent.agent.suggestion import no_option, suggest
from chatagent.agent.turn import Turn
from chatagent.duration import Duration, seconds
from chatagent.errors import BadRequest, ConfigError
from chatagent.record import Busy

M = TypeVar("M", bound=BaseModel)

AgentFunction = Callable[[Turn[C]], Any]
#: Tools of an agent: the same for all turns, or what a function gives for one.
Tools = Sequence[Any] | Mapping[str, Any] | Callable[[ToolsFor[C]], Any]

_FIELDS = [field.name for field in fields(AgentOptions)]
#: Options that authors write as durations, and the fields that keep them.
_DURATIONS = {name.removesuffix("_s"): name for name in _FIELDS if name.endswith("_s")}
#: Options of the stream that are functions.
_CALLED = ("on_error", "message_metadata", "generate_message_id")


class AgentKeywords(HookOptions[C], total=False):
    """Everything that `chat.agent` takes beside the id and the client data."""

    tools: Tools[C]
    """Functions and `Tool`s, or a function that gives those of a turn (then it is called once per turn)."""
    system: str | Mapping[str, Any]
    """System prompt of all its model calls; a message with content parts may carry `cache_control`."""
    model: str
    """Model in litellm's names, for `turn.model`."""
    queue: str
    """Celery queue of its turns."""
    concurrency_limit: int
    """Turns of this agent at a time, over all workers."""
    max_attempts: int
    """Attempts at one message before it is answered with an error."""
    max_turns: int
    """Turns of one run (100); then it ends, and the next message starts a continuation."""
    max_duration: Duration
    """Longest time of one turn; then it is cancelled and fails."""
    turn_timeout: Duration
    """How long a run waits for the next message, warm or suspended (1 h)."""
    idle_timeout: Duration
    """How long a run stays warm after a turn (30 s)."""
    idle_timeout_s: float
    """The same in seconds."""
    preload_idle_timeout: Duration
    """How long a preloaded run stays warm for its first message; the idle timeout unless set."""
    preload_timeout: Duration
    """How long a preloaded run waits for its first message; the turn timeout unless set."""
    exit_after_preload_idle: bool
    """End a preloaded run instead of suspending it."""
    token_ttl: Duration
    """How long the tokens are valid that hooks are given (1 h)."""
    stream_options: StreamOptions
    on_error: Callable[[BaseException], str]
    """Text of the error chunk for an exception; the default tells nothing."""
    busy: Busy
    """What happens to messages that arrive during a turn."""
    pending_messages: PendingMessages[C]
    """Lets the agent decide between two steps whether messages that arrived join the running turn."""
    compaction: Any
    """A `Compaction`: when and how the conversation is summarised for the model."""
    actions: Any
    """Type of the actions that clients may send: a pydantic model, or a union of them."""
    data_parts: Mapping[str, Any]
    """Models of the `data-<name>` parts, by name; what is written is validated."""
    message_metadata_schema: Any
    """Model of the messages' metadata."""
    description: str
    examples: Sequence[str]


class Agent(Hooks[C]):
    """One agent. Its id is the name of its Celery task, so Flower groups turns by agent."""

    def __init__(self, id: str, run: AgentFunction[C], options: AgentOptions | None = None) -> None:
        super().__init__()
        self.id = checked_id("agent", id)
        self.run = run
        self.options = options or AgentOptions()
        self._client_data = _adapter(id, "client_data", self.options.client_data)
        self._actions = _adapter(id, "actions", self.options.actions)
        self._check()
        #: What it writes is checked by this.
        self.parts = DataParts(self.options.data_parts, metadata=self.options.message_metadata_schema)

    @property
    def description(self) -> str:
        """What it is for: the option, else the first line of its docstring."""
        return self.options.description or (self.run.__doc__ or "").strip().split("\n")[0]

    def read_client_data(self, metadata: Any) -> C:
        """What a client sent along, as the author's model; nothing counts as an empty object. Raises: BadRequest."""
        if self._client_data is None:
            return metadata  # type: ignore[no-any-return]
        value: C = _validated(self._client_data, {} if metadata is None else metadata, "metadata")
        return value

    def read_action(self, action: Any) -> Any:
        """An action as the author's type. Raises: BadRequest."""
        return action if self._actions is None else _validated(self._actions, action, "action")

    def _check(self) -> None:
        check_takes(self.run, "the turn", f"agent {self.id!r}")


@overload
def agent(
    id: str, *, client_data: type[M], **settings: Unpack[AgentKeywords[M]]
) -> Callable[[AgentFunction[M]], Agent[M]]: ...
@overload
def agent(
    id: str, *, client_data: None = ..., **settings: Unpack[AgentKeywords[Any]]
) -> Callable[[AgentFunction[Any]], Agent[Any]]: ...
def agent(
    id: str, *, client_data: Any = None, **settings: Unpack[AgentKeywords[Any]]
) -> Callable[[AgentFunction[Any]], Agent[Any]]:
    """Make the decorated function an agent: it is called once per turn and returns (or pipes) a stream.

    The function may be a coroutine function, a plain function (it runs in a thread), or a generator of either kind.
    `client_data` is the model of what clients send along, validated every turn. Raises: ConfigError.
    """
    if not isinstance(id, str):
        raise ConfigError('an agent has an id: write @chat.agent("support") over its function')
    given = dict(settings)
    hooks = Hooks[Any]()
    for name in HOOKS:
        if (hook := given.pop(name, None)) is not None:
            hooks.add(name, hook)  # type: ignore[type-var]
    options = read_options(id, {**given, "client_data": client_data})

    def make(run: AgentFunction[Any]) -> Agent[Any]:
        made: Agent[Any] = Agent(id, run, options)
        for name in HOOKS:
            for hook in hooks.of(name):
                made.add(name, hook)
        return made

    return make


def read_options(id: str, given: Mapping[str, Any]) -> AgentOptions:
    """The options of an agent from its keyword arguments. Raises: ConfigError."""
    read: dict[str, Any] = {}
    for name, value in given.items():
        if name in _DURATIONS and value is not None:
            read[_DURATIONS[name]] = seconds(value)
        elif name in _FIELDS:
            read[name] = tuple(value) if name == "examples" else value
        elif name not in _DURATIONS:
            raise ConfigError(f"agent {id!r} {_unknown(name)}")
    for name in ("max_turns", "max_attempts", "concurrency_limit"):
        if (number := read.get(name)) is not None and (not isinstance(number, int) or number < 1):
            raise ConfigError(f"agent {id!r}: {name} must be 1 or more, not {number!r}")
    if read.get("queue") is not None and not isinstance(read["queue"], str):
        raise ConfigError(f"agent {id!r}: queue must be the name of a queue; its limit is concurrency_limit=")
    if read.get("busy", "enqueue") not in get_args(Busy):
        raise ConfigError(f"agent {id!r}: busy must be one of {', '.join(get_args(Busy))}")
    if read.get("on_error") is not None:
        check_takes(read["on_error"], "the exception", f"agent {id!r}: on_error")
    if inspect.isroutine(tools := read.get("tools")):
        check_takes(tools, "a chat.ToolsFor", f"agent {id!r}: tools")
    for name, value in (read.get("stream_options") or {}).items():
        if name not in StreamOptions.__annotations__:
            raise ConfigError(f"agent {id!r}: stream_options {no_option(name, StreamOptions.__annotations__)}")
        if name in _CALLED and value is not None and not callable(value):
            raise ConfigError(f"agent {id!r}: stream_options {name} must be a function, not {value!r}")
    if not isinstance(read.get("tools", ()), Iterable) and not callable(read["tools"]):
        raise ConfigError(f"agent {id!r}: tools must be a list of functions and tools, or a function that gives one")
    return AgentOptions(**{name: value for name, value in read.items() if value is not None})


def _unknown(name: str) -> str:
    """Says that there is no such option, and what is meant."""
    if name == "run":
        return "is made of the function under the decorator: there is no run="
    if (stream := suggest(name, StreamOptions.__annotations__)) is not None:
        return f"has no option {name!r}: write stream_options={{{stream!r}: …}}"
    return no_option(name, {*AgentKeywords.__annotations__, "client_data"})


def _adapter(id: str, name: str, schema: Any) -> TypeAdapter[Any] | None:
    """What checks values against an author's model. Raises: ConfigError for what is none."""
    if schema is None:
        return None
    try:
        return TypeAdapter(schema)
    except (PydanticUserError, SchemaError, KeyError) as error:
        why = str(getattr(error, "message", "")).partition("\n")[0]
        told = f"agent {id!r}: {name} must be a pydantic model or another type, not {schema!r}"
        raise ConfigError(f"{told}: {why}" if why else told) from error


def _validated(schema: TypeAdapter[Any], value: Any, name: str) -> Any:
    try:
        return schema.validate_python(value)
    except ValidationError as error:
        place, why = first_fault(error, name)
        raise BadRequest(why, field=place) from error
