"""Tools: functions that a model may call, with an input schema derived from type hints and docstring."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeVar, overload

import orjson
from pydantic import BaseModel, ValidationError

from chatagent.errors import ConfigError
from chatagent.llm.docstring import parse
from chatagent.llm.error import InvalidToolInput
from chatagent.llm.schema import derive_input, json_schema
from chatagent.thread import in_thread
from chatagent.ui import encode_value

P = ParamSpec("P")
R = TypeVar("R")

#: Whether a call waits for the user's yes: always, never, or what a function of the validated input says.
NeedsApproval = bool | Callable[[Any], bool | Awaitable[bool]]
#: What the model reads instead of a tool's result: text, or a list of OpenAI content parts.
ToModelOutput = Callable[[Any], Any]

#: Ends a blocking generator, whose StopIteration cannot cross a thread.
_END = object()


@dataclass(frozen=True, kw_only=True, eq=False)
class Tool:
    """Something that the model may call.

    `input` is a pydantic model, or a JSON schema when the input is somebody else's to validate (then `execute` gets
    plain JSON). `execute` takes the validated input; without it the call is answered by the client. A result that is
    an (async) iterator gives preliminary outputs, its last value counts.
    """

    name: str
    description: str = ""
    input: type[BaseModel] | Mapping[str, Any]
    execute: Callable[[Any], Any] | None = None
    needs_approval: NeedsApproval = False
    to_model_output: ToModelOutput | None = None
    title: str | None = None
    #: The client sees the call as a `dynamic-tool` part; for tools that the frontend cannot know by name.
    dynamic: bool = False
    #: `{"type": "ephemeral"}` lets providers with prompt caching keep the tools up to this one.
    cache_control: Mapping[str, Any] | None = None
    #: JSON schema of the input, as it is sent to the model.
    input_schema: Mapping[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        schema = self.input if isinstance(self.input, Mapping) else json_schema(self.input, self.name)
        object.__setattr__(self, "input_schema", schema)

    @property
    def definition(self) -> dict[str, Any]:
        """The tool in OpenAI's form."""
        function = {"name": self.name, "description": self.description, "parameters": dict(self.input_schema)}
        caching = {"cache_control": dict(self.cache_control)} if self.cache_control is not None else {}
        return {"type": "function", "function": function, **caching}

    def validate(self, arguments: Any) -> tuple[Any, Any]:
        """The value for `execute`, and the same as JSON. Raises: InvalidToolInput."""
        if isinstance(self.input, Mapping):
            return arguments, arguments
        try:
            value = self.input.model_validate(arguments)
        except ValidationError as error:
            sent = orjson.dumps(arguments).decode()
            why = f"AI_TypeValidationError: Type validation failed: Value: {sent}.\nError message: {_reasons(error)}"
            raise InvalidToolInput(self.name, why) from error
        return value, value.model_dump(mode="json", by_alias=True)

    async def must_ask(self, value: Any) -> bool:
        """Whether a call with this validated input waits for an approval."""
        if isinstance(self.needs_approval, bool):
            return self.needs_approval
        answer = self.needs_approval(value)
        return bool(await answer if inspect.isawaitable(answer) else answer)

    async def outputs(self, value: Any) -> AsyncIterator[tuple[Any, bool]]:
        """Run the tool: `(output as JSON, preliminary)`, the last one not preliminary."""
        if self.execute is None:
            raise ConfigError(f"tool {self.name} is answered by the client")
        blocks = _blocks(self.execute)
        result = await in_thread(self.execute, value) if blocks else self.execute(value)
        if inspect.isawaitable(result):
            result = await result
        if isinstance(result, AsyncIterator | Iterator):
            last: Any = None
            async for item in result if isinstance(result, AsyncIterator) else _in_threads(result):
                last = to_json(item)
                yield last, True
            yield last, False
        else:
            yield to_json(result), False


class FunctionTool(Tool, Generic[P, R]):
    """A tool made from a function, which can still be called as before."""

    function: Callable[P, R]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)


@overload
def tool(function: Callable[P, R], /) -> FunctionTool[P, R]: ...
@overload
def tool(
    *,
    name: str | None = ...,
    description: str | None = ...,
    needs_approval: NeedsApproval = ...,
    to_model_output: ToModelOutput | None = ...,
    title: str | None = ...,
    dynamic: bool = ...,
    cache_control: Mapping[str, Any] | None = ...,
) -> Callable[[Callable[P, R]], FunctionTool[P, R]]: ...
def tool(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a tool of a function: `@tool`, or `@tool(needs_approval=True, …)`.

    The name is the function's, the description its docstring, the input its parameters (described by `Args:` or
    `:param …:`). A plain function runs in a thread; an `async def` is awaited; a generator gives preliminary outputs.
    """
    if function is None:
        return lambda wrapped: _from_function(wrapped, True, options)
    return _from_function(function, True, options)


@overload
def client_tool(function: Callable[P, R], /) -> FunctionTool[P, R]: ...
@overload
def client_tool(
    *,
    name: str | None = ...,
    description: str | None = ...,
    needs_approval: NeedsApproval = ...,
    to_model_output: ToModelOutput | None = ...,
    title: str | None = ...,
    dynamic: bool = ...,
    cache_control: Mapping[str, Any] | None = ...,
) -> Callable[[Callable[P, R]], FunctionTool[P, R]]: ...
def client_tool(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a tool that the client answers: only the signature and the docstring of the function are used.

    The turn ends with the call pending, and goes on when the client has sent its output.
    """
    if function is None:
        return lambda wrapped: _from_function(wrapped, False, options)
    return _from_function(function, False, options)


def to_tool(source: Tool | Callable[..., Any]) -> Tool:
    """`source` itself, or a tool made of a plain function."""
    return source if isinstance(source, Tool) else tool(source)


def to_tools(source: Mapping[str, Tool] | Iterable[Tool | Callable[..., Any]] | None) -> dict[str, Tool]:
    """Tools by name, in order. Raises: ConfigError when two share a name."""
    if isinstance(source, Mapping):
        return dict(source)
    found: dict[str, Tool] = {}
    for each in map(to_tool, source or ()):
        if each.name in found:
            raise ConfigError(f"two tools are named {each.name}; give one of them another name")
        found[each.name] = each
    return found


def to_json(value: Any) -> Any:
    """What a tool returned, as plain JSON: models, dataclasses, dates and the like become what they stand for.

    Raises: BadRequest for what JSON cannot say.
    """
    if value is None or type(value) in (str, bool, int):
        return value
    return orjson.loads(encode_value(value))


def _from_function(function: Callable[..., Any], runs: bool, options: dict[str, Any]) -> FunctionTool[..., Any]:
    name = options.pop("name", None) or function.__name__
    documentation = parse(function.__doc__)
    description = options.pop("description", None) or documentation.description
    model = derive_input(function, name, documentation.params)
    made: FunctionTool[..., Any] = FunctionTool(
        name=name,
        description=description,
        input=model,
        execute=_by_name(function, tuple(model.model_fields)) if runs else None,
        **options,
    )
    for attribute, known in (("function", function), ("__wrapped__", function), ("__doc__", function.__doc__)):
        object.__setattr__(made, attribute, known)
    return made


def _by_name(function: Callable[..., Any], names: tuple[str, ...]) -> Callable[[Any], Any]:
    """Calls `function` with the fields of the validated input."""

    @wraps(function)
    def execute(value: Any) -> Any:
        return function(**{name: getattr(value, name) for name in names})

    return execute


def _blocks(execute: Callable[..., Any]) -> bool:
    """Whether calling it runs the author's code at once, so that it belongs in a thread."""
    inner = inspect.unwrap(execute)
    makes_later = (inspect.iscoroutinefunction, inspect.isasyncgenfunction, inspect.isgeneratorfunction)
    return not any(kind(inner) for kind in makes_later)


async def _in_threads(iterator: Iterator[Any]) -> AsyncIterator[Any]:
    """Draw from a blocking generator, one thread call per value."""
    while (item := await asyncio.to_thread(next, iterator, _END)) is not _END:
        yield item


def _reasons(error: ValidationError) -> str:
    """Why an input was refused, one line per field, for the model to mend."""
    reasons = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, each['loc'])) or 'input'}: {each['msg']}" for each in reasons)
