"""Tools: what a model may call, with the schema of its input."""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError

from chatagent.errors import BadRequest, ConfigError
from chatagent.llm.error import InvalidToolInput, describe
from chatagent.llm.output import told_output
from chatagent.llm.schema import json_schema
from chatagent.thread import in_thread
from chatagent.ui import as_json, model_output

logger = logging.getLogger(__name__)

#: Whether a call waits for the user's yes: always, never, or what a function of the validated input says.
NeedsApproval = bool | Callable[[Any], bool | Awaitable[bool]]
#: What the model reads instead of a tool's result: text, or a list of OpenAI content parts.
ToModelOutput = Callable[[Any], Any]

#: What providers take as names of tools.
_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
#: The least that providers take as a schema.
_NO_INPUT = {"type": "object", "properties": {}}
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
    input: type[BaseModel] | Mapping[str, Any] = field(default_factory=dict)
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
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"tool {self.name!r}: models call tools by letters, digits, _ and -, at most 128; set name="
            )
        if not isinstance(self.needs_approval, bool) and not callable(self.needs_approval):
            raise ConfigError(f"tool {self.name}: needs_approval must be True, False or a function of the input")
        if inspect.iscoroutinefunction(self.to_model_output):
            raise ConfigError(
                f"tool {self.name}: to_model_output must be a plain function; it is asked in later turns too"
            )
        given = self.input
        schema = {**_NO_INPUT, **given} if isinstance(given, Mapping) else json_schema(given, self.name)
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

    def told(self, output: Any) -> Any:
        """What the model reads of an output; the error where `to_model_output` fails, as the rest may be secret."""
        if self.to_model_output is None:
            return model_output(output)
        try:
            return told_output(self.to_model_output(output))
        except Exception as error:
            logger.exception("to_model_output failed", extra={"tool": self.name})
            return f"The output cannot be shown. {describe(error)}"

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
                last = _returned(item)
                yield last, True
            yield last, False
        else:
            yield _returned(result), False


def told_by(tools: Mapping[str, Tool]) -> dict[str, Callable[[Any], Any]]:
    """How the model is told of outputs, by name of the tools that have a say in it."""
    return {name: tool.told for name, tool in tools.items() if tool.to_model_output is not None}


def _returned(value: Any) -> Any:
    """What a tool returned, as JSON has it. Raises: BadRequest that says so of the tool."""
    try:
        return as_json(value)
    except BadRequest as error:
        raise BadRequest(f"the tool returned a {type(value).__name__} that is no JSON ({error})") from error


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
