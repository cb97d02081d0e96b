"""Tools made of functions, with an input schema derived from type hints and docstring."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypedDict, TypeVar, Unpack, overload

from pydantic import BaseModel

from chatagent.errors import ConfigError
from chatagent.llm.docstring import parse
from chatagent.llm.schema import derive_input, plain
from chatagent.llm.tool import NeedsApproval, ToModelOutput, Tool

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
T = TypeVar("T", bound=Tool)

#: What people hand over in the place of tools.
_OTHERS = "ai.tool(…) makes a tool of a task, ai.agent_tool(…) of an agent"


class FunctionTool(Tool, Generic[P, R]):
    """A tool made from a function, which can still be called as before. Made from a method, each object has its own."""

    function: Callable[P, R]
    #: It is a method and knows no object yet: only the tool of an object (`shop.search`) can run.
    unbound: bool

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self: FunctionTool[Concatenate[Any, Q], R], instance: object, owner: type) -> FunctionTool[Q, R]: ...
    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None or not self.unbound:
            return self
        method = MethodType(self.function, instance)
        names = tuple(self.input.model_fields) if isinstance(self.input, type) else ()
        runs = {"execute": _by_name(method, names)} if self.execute is not None else {}
        return _with(self, function=method, unbound=False, **runs)


class ToolKeywords(TypedDict, total=False):
    """What `tool` and `client_tool` take."""

    name: str | None
    """In place of the function's name."""
    description: str | None
    """In place of its docstring."""
    needs_approval: NeedsApproval
    """Ask the user first: always, or as a function of the input says."""
    to_model_output: ToModelOutput | None
    """What the model reads in place of the result."""
    title: str | None
    """For people."""
    dynamic: bool
    """The page sees a `dynamic-tool` part: for tools that it cannot know by name."""
    cache_control: Mapping[str, Any] | None
    """Lets providers cache the prompt up to this tool."""


@overload
def tool(function: Callable[P, R], /) -> FunctionTool[P, R]: ...
@overload
def tool(
    *, execute: Callable[[Any], Any], input_schema: type[BaseModel] | Mapping[str, Any], **options: Unpack[ToolKeywords]
) -> Tool: ...
@overload
def tool(**options: Unpack[ToolKeywords]) -> Callable[[Callable[P, R]], FunctionTool[P, R]]: ...
def tool(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a tool of a function: `@tool`, or `@tool(needs_approval=True, …)`.

    The name is the function's, the description its docstring, the input its parameters (described by `Args:` or
    `:param …:`). A plain function runs in a thread; an `async def` is awaited; a generator gives preliminary outputs.
    In pieces: `tool(name=…, description=…, input_schema=…, execute=…)`, where `execute` takes the validated input.
    """
    if "execute" in options:
        return _from_pieces(options)
    return _make(function, True, options)


@overload
def client_tool(function: Callable[P, R], /) -> FunctionTool[P, R]: ...
@overload
def client_tool(**options: Unpack[ToolKeywords]) -> Callable[[Callable[P, R]], FunctionTool[P, R]]: ...
def client_tool(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a tool that the client answers: only the signature and the docstring of the function are used.

    The turn ends with the call pending, and goes on when the client has sent its output.
    """
    return _make(function, False, options)


def to_tool(source: Tool | Callable[..., Any]) -> Tool:
    """`source` itself, or a tool made of a plain function. Raises: ConfigError for what cannot run."""
    if not isinstance(source, Tool):
        return tool(source)
    if isinstance(source, FunctionTool) and source.unbound:
        raise ConfigError(f"tool {source.name} is a method: give the one of an object, as in `Shop().{source.name}`")
    return source


def to_tools(
    source: Tool | Mapping[str, Tool | Callable[..., Any]] | Iterable[Tool | Callable[..., Any]] | None,
) -> dict[str, Tool]:
    """Tools by name, in order; in a mapping the keys are the names. Raises: ConfigError when two share a name."""
    if isinstance(source, Mapping):
        return {name: _named(each, name) for name, each in source.items()}
    found: dict[str, Tool] = {}
    for each in map(to_tool, [source] if isinstance(source, Tool) else source or ()):
        if each.name in found:
            raise ConfigError(f"two tools are named {each.name}; give one of them another name")
        found[each.name] = each
    return found


def _check(options: Mapping[str, Any], *further: str) -> None:
    known = [*ToolKeywords.__annotations__, *further]
    if unknown := options.keys() - set(known):
        raise ConfigError(f"a tool has no option {min(unknown)!r}; there are {', '.join(known)}")


def _from_pieces(options: Mapping[str, Any]) -> Tool:
    """A tool that is no function: what runs it takes the whole input."""
    _check(options, "execute", "input_schema")
    if missing := [name for name in ("name", "input_schema") if options.get(name) is None]:
        raise ConfigError(f"a tool with execute= needs {' and '.join(missing)}=")
    return Tool(**{"input" if name == "input_schema" else name: value for name, value in options.items()})


def _make(function: Callable[..., Any] | None, runs: bool, options: Mapping[str, Any]) -> Any:
    """The tool; without a function what makes one of it. `runs`: here, not at the client."""
    _check(options)
    if function is None:
        return lambda wrapped: _from_function(wrapped, runs, options)
    return _from_function(function, runs, options)


def _from_function(function: Callable[..., Any], runs: bool, options: Mapping[str, Any]) -> FunctionTool[..., Any]:
    if isinstance(function, Tool):
        raise ConfigError(f"{function.name} is a tool already")
    if not callable(function):
        raise ConfigError(f"a tool is made of a function, not of {function!r}; {_OTHERS}")
    known = plain(function)
    docstring = known.__doc__
    name = options.get("name") or known.__name__
    if name in ("__call__", "<lambda>"):
        raise ConfigError(f"{function!r} has no name that a model could call: give it one by tool(name=…); {_OTHERS}")
    documentation = parse(docstring)
    model, unbound = derive_input(function, name, documentation.params)
    given = {
        **options,
        "name": name,
        "description": options.get("description") or documentation.description,
        "input": model,
        "execute": _by_name(function, tuple(model.model_fields)) if runs else None,
    }
    made: FunctionTool[..., Any] = FunctionTool(**given)
    return _with(made, function=function, unbound=unbound, __wrapped__=function, __doc__=docstring)


def _named(source: Tool | Callable[..., Any], name: str) -> Tool:
    if not isinstance(source, Tool):
        return tool(name=name)(source)
    known = to_tool(source)
    return known if known.name == name else _with(known, name=name)


def _with(source: T, **changes: Any) -> T:
    """A copy with other values for some attributes."""
    made = copy.copy(source)
    for attribute, value in changes.items():
        object.__setattr__(made, attribute, value)
    return made


def _by_name(function: Callable[..., Any], names: tuple[str, ...]) -> Callable[[Any], Any]:
    """Calls `function` with the fields of the validated input."""

    @wraps(function, updated=())
    def execute(value: Any) -> Any:
        return function(**{name: getattr(value, name) for name in names})

    return execute
