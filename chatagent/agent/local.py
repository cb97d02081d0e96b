"""`chat.local`: typed values of one run, found from hooks, agents, tools and subtasks alike.

They live as long as the run: warm in its process, and in the session between turns as far as JSON can say them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, TypeVar, cast, overload

import orjson
from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, SchemaError, to_json

from chatagent.agent.check import first_fault
from chatagent.errors import ConfigError

T = TypeVar("T")

_MISSING = object()
_NONE: Mapping[str, Any] = MappingProxyType({})
#: Stands in the session for a value that JSON cannot say: `{"$lost": <its type>}`.
_LOST = "$lost"
#: Containers of which pydantic makes a copy when it looks at them.
_CONTAINERS = (dict, list, set, tuple, frozenset)


@dataclass(slots=True)
class Locals:
    """The values of one run. `stored` are those that came from the session and were not looked at yet."""

    stored: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    #: What `has_changed` saw last.
    seen: dict[str, bytes | None] = field(default_factory=dict)
    #: Values of which an attribute was assigned since.
    touched: set[str] = field(default_factory=set)
    read_only: bool = False

    def snapshot(self) -> dict[str, Any]:
        """All values as JSON can say them; the others leave a note of what was lost."""
        kept = dict(self.stored)
        for name, value in self.values.items():
            raw = _dump(value)
            kept[name] = {_LOST: type(value).__qualname__} if raw is None else orjson.loads(raw)
        return kept


_current: ContextVar[Locals | None] = ContextVar("chatagent_locals", default=None)
_given: ContextVar[Mapping[str, Any]] = ContextVar("chatagent_given_locals", default=_NONE)


def enter_locals(values: Locals | Mapping[str, Any], *, read_only: bool = False) -> Locals:
    """Make these the locals of this context and of everything started from it."""
    entered = values if isinstance(values, Locals) else Locals(stored=dict(values), read_only=read_only)
    _current.set(entered)
    return entered


def give_locals(values: Mapping[str, Any]) -> None:
    """Values by id for the runs of this context that have none of their own: what tests put in for the real thing."""
    _given.set(values)


def snapshot_locals() -> dict[str, Any]:
    """The locals of this context as JSON, for a subtask; empty outside of a run."""
    current = _current.get()
    return {} if current is None else current.snapshot()


class Local(Generic[T]):
    """One typed value per run. Attributes are those of the value: `user.name` is `user.value.name`.

    Assigning an attribute, or changing something inside the value, counts as a change. Fields that are named like
    something here (`init get value has_changed initialised local_id`) are reached by `user.value` alone.
    """

    local_id: str
    _type: Any
    _adapter: TypeAdapter[Any]

    def __init__(self, id: str, type: Any) -> None:
        object.__setattr__(self, "local_id", id)
        object.__setattr__(self, "_type", type)
        object.__setattr__(self, "_adapter", _adapter(type))

    def __repr__(self) -> str:
        return f"local {self.local_id!r}"

    def init(self, value: T) -> T:
        """Set the value of this run, in a hook or in the agent; gives it as its type (a model made of a dict).

        Raises: ConfigError for what is not of that type.
        """
        checked: T = self._checked(value)
        self._keep(self._locals(), checked)
        return checked

    @property
    def initialised(self) -> bool:
        """Whether this run has a value; False also for one that could not be kept."""
        locals_ = self._locals()
        kept = self.local_id in locals_.stored and not _is_lost(locals_.stored[self.local_id])
        return kept or self.local_id in locals_.values or self.local_id in _given.get()

    @property
    def value(self) -> T:
        """The value itself. Raises: ConfigError before `init`, and when it could not be kept."""
        locals_ = self._locals()
        value = locals_.values.get(self.local_id, _MISSING)
        if value is _MISSING:
            value = self._restore(locals_)
        return cast(T, value)

    @value.setter
    def value(self, to: T) -> None:
        locals_ = self._writable()
        locals_.values[self.local_id] = self._checked(to)
        locals_.stored.pop(self.local_id, None)
        locals_.touched.add(self.local_id)

    def get(self) -> dict[str, Any]:
        """A plain copy of the value, as JSON would say it. Raises: ConfigError for what JSON cannot say."""
        raw = _dump(self.value)
        if raw is None:
            raise ConfigError(f"{self!r} holds a {type(self.value).__qualname__}, which JSON cannot say")
        plain: dict[str, Any] = orjson.loads(raw)
        return plain

    def has_changed(self) -> bool:
        """Whether the value is another one than at the last call (or `init`); False before there is one.

        What JSON cannot say has changed when an attribute of it was assigned.
        """
        locals_ = self._locals()
        if not self.initialised:
            return False
        now = _dump(self.value)
        changed = self.local_id in locals_.touched if now is None else now != locals_.seen.get(self.local_id)
        locals_.seen[self.local_id] = now
        locals_.touched.discard(self.local_id)
        return changed

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = self.value
        return value[name] if isinstance(value, dict) else getattr(value, name)

    def __setattr__(self, name: str, to: Any) -> None:
        if name == "value":
            object.__setattr__(self, name, to)
            return
        self._writable().touched.add(self.local_id)
        value = self.value
        if isinstance(value, dict):
            value[name] = to
        else:
            setattr(value, name, to)

    def _writable(self) -> Locals:
        locals_ = self._locals()
        if locals_.read_only:
            raise ConfigError(f"{self!r} belongs to the parent run: a subtask may only read it")
        return locals_

    def _locals(self) -> Locals:
        current = _current.get()
        if current is None:
            raise ConfigError(f"{self!r} is used outside of a run: use it in an agent, its hooks or its tools")
        return current

    def _restore(self, locals_: Locals) -> Any:
        stored = locals_.stored.get(self.local_id, _MISSING)
        if (stored is _MISSING or _is_lost(stored)) and self.local_id in _given.get():
            return self._keep(locals_, _given.get()[self.local_id])
        if stored is _MISSING:
            raise ConfigError(f"{self!r} has no value in this run: call init() in on_boot or on_chat_start")
        if _is_lost(stored):
            raise ConfigError(
                f"{self!r} held a {stored[_LOST]}, which could not be stored when its run left the process: "
                "call init() again in on_boot or on_chat_resume"
            )
        try:
            value = self._adapter.validate_python(stored)
        except ValidationError as error:
            raise ConfigError(f"{self!r} no longer fits {_name(self._type)}: call init() again") from error
        return self._keep(locals_, value)

    def _checked(self, value: Any) -> Any:
        try:
            checked = self._adapter.validate_python(value)
        except ValidationError as error:
            place, why = first_fault(error)
            told = f"{self!r} takes a {_name(self._type)}, not this {_name(type(value))}"
            raise ConfigError(f"{told}: {place + ': ' if place else ''}{why}") from error
        # The author keeps the very list or dict that was given.
        return value if type(value) in _CONTAINERS and checked == value else checked

    def _keep(self, locals_: Locals, value: Any) -> Any:
        locals_.stored.pop(self.local_id, None)
        locals_.values[self.local_id] = value
        locals_.seen[self.local_id] = _dump(value)
        locals_.touched.discard(self.local_id)
        return value


@overload
def local(id: str) -> Local[Any]: ...
@overload
def local(id: str, type: type[T]) -> Local[T]: ...
def local(id: str, type: Any = Any) -> Local[Any]:
    """Declare a local at module level; `id` must be its own. Without a type it holds anything. Raises: ConfigError."""
    if not isinstance(id, str):
        raise ConfigError(f'a local is declared by its id and its type: chat.local("user", {_name(id)})')
    return Local(id, type)


def _adapter(type_: Any) -> TypeAdapter[Any]:
    """What checks the values. Raises: ConfigError for a type that pydantic refuses."""
    try:
        return TypeAdapter(type_, config={"arbitrary_types_allowed": True})
    except SchemaError:
        # A protocol, say, of which nobody can tell whether a value is one.
        return TypeAdapter(Any)
    except PydanticUserError as error:
        if error.code == "type-adapter-config-unused":
            # Models, dataclasses and typed dicts have a configuration of their own.
            return TypeAdapter(type_)
        raise ConfigError(f"{_name(type_)} is no type for a local: {error.message}") from error


def _name(type_: Any) -> str:
    return getattr(type_, "__name__", None) or str(type_)


def _dump(value: Any) -> bytes | None:
    """The value as JSON; None for what JSON cannot say."""
    try:
        return to_json(value)
    except (PydanticSerializationError, ValueError):
        return None


def _is_lost(stored: Any) -> bool:
    return isinstance(stored, dict) and _LOST in stored
