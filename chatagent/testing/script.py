"""What a scripted model says: one step per model call, put together with `+`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from chatagent.llm.error import ModelError
from chatagent.llm.usage import Usage
from chatagent.testing.request import Request

#: Statuses after which `stream_text` asks again; every 5xx as well.
_RETRYABLE = (408, 409, 429)


@dataclass(frozen=True, slots=True)
class Text:
    """Text, or reasoning, one delta each."""

    deltas: tuple[str, ...]
    reasoning: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call."""

    tool: str
    input: Mapping[str, Any]
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """The model waits here until the test lets it go on."""

    name: str


@dataclass(frozen=True, slots=True)
class Failure:
    """The provider refuses, or breaks off."""

    error: Exception


Part = Text | Call | Pause | Failure


@dataclass(frozen=True, slots=True)
class Step:
    """What one model call answers. `says("Let me look.") + calls("look") + calls("listen")` is one step."""

    parts: tuple[Part, ...]
    #: In OpenAI's words; None: `tool_calls` with calls, else `stop`.
    finish: str | None = None
    usage: Usage | None = None

    def __add__(self, other: Step | str) -> Step:
        added = as_step(other)
        return Step((*self.parts, *added.parts), added.finish or self.finish, added.usage or self.usage)

    def uses(self, input_tokens: int, output_tokens: int) -> Step:
        """The same with tokens to its account."""
        return replace(self, usage=Usage(input_tokens, output_tokens, input_tokens + output_tokens))

    def ends(self, finish: str) -> Step:
        """The same with another finish reason, in OpenAI's words (`length`, `content_filter`)."""
        return replace(self, finish=finish)

    @property
    def finish_reason(self) -> str:
        """Why the model ends."""
        return self.finish or ("tool_calls" if any(isinstance(part, Call) for part in self.parts) else "stop")


#: Answers a request with a step, or with text.
Responder = Callable[[Request], Step | str | Awaitable[Step | str]]


@dataclass(frozen=True, slots=True)
class Respond:
    """A step that is made when the request is there."""

    responder: Responder


Scripted = Step | Respond | str


def says(*deltas: str) -> Step:
    """Text; each argument is one delta of the stream."""
    return Step((Text(deltas),))


def thinks(*deltas: str) -> Step:
    """Reasoning; each argument is one delta."""
    return Step((Text(deltas, reasoning=True),))


def calls(tool: str, /, input: Mapping[str, Any] | None = None, *, call_id: str | None = None, **named: Any) -> Step:
    """A call of a tool: `calls("refund", order=7)`, or `calls("refund", {"order": 7})`."""
    if input is not None and not isinstance(input, Mapping):
        raise TypeError(f"name what the tool is given, as in calls({tool!r}, order=7); {input!r} has no name")
    return Step((Call(tool, {**(input or {}), **named}, call_id),))


def pauses(name: str = "the model") -> Step:
    """The model waits until the test calls `resume()`; `wait_paused()` waits until it is there."""
    return Step((Pause(name),))


def fails(error: int | str | Exception = "the model failed") -> Step:
    """The call fails: with an HTTP status (500 and 429 are tried again), a message, or an exception.

    First in a step the provider refuses; behind text it breaks off. Retries come at once, and take a step each.
    """
    if isinstance(error, Exception):
        return Step((Failure(error),))
    if isinstance(error, str):
        return Step((Failure(ModelError(error)),))
    retryable = error >= 500 or error in _RETRYABLE
    told = ModelError(f"status {error}", status_code=error, retryable=retryable, retry_after_s=0)
    return Step((Failure(told),))


def respond(responder: Responder) -> Respond:
    """What `responder` makes of the request: a step or text; it may be async."""
    return Respond(responder)


def as_step(given: Step | str) -> Step:
    """Text stands for `says(text)`."""
    return says(given) if isinstance(given, str) else given
