"""One call of a tool: what the model asked for, checked, and how it was answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from chatagent.llm.error import InvalidToolInput, NoSuchTool, describe
from chatagent.llm.tool import Tool
from chatagent.ui import encode_value, model_output
from chatagent.ui.tool_part import DENIED

Chunk = dict[str, Any]
Emit = Callable[..., None]

#: Keys that JavaScript parsers refuse, because they could change the prototype of an object.
_FORBIDDEN_KEY = "__proto__"

State = Literal["called", "invalid", "asked", "done", "failed", "denied"]


@dataclass(slots=True)
class ToolCall:
    """A call as the model made it.

    `called` is not answered yet, `asked` waits for an approval; `invalid`, `done`, `failed` and `denied` are answers.
    """

    id: str
    name: str
    #: The arguments as JSON; the raw text when they are no JSON.
    input: Any
    tool: Tool | None
    value: Any = None
    state: State = "called"
    output: Any = None
    error: BaseException | None = None
    #: What the user said when asked, and why.
    approved: bool | None = None
    reason: str | None = None
    #: What the provider wants back with the call (Gemini's thought signature, …).
    extra: Mapping[str, Any] | None = None

    @property
    def answered(self) -> bool:
        return self.state not in ("called", "asked")

    @property
    def runs_here(self) -> bool:
        """Whether the server is to run it now."""
        return self.state == "called" and self.tool is not None and self.tool.execute is not None

    @property
    def answer(self) -> Any:
        """What the model reads: text, or OpenAI content parts."""
        if self.state == "denied":
            return self.reason or DENIED
        if self.error is not None:
            return describe(self.error)
        return model_output(self.output) if self.tool is None else self.tool.told(self.output)

    def to_message(self) -> dict[str, Any]:
        """The call inside an assistant message, in OpenAI's form."""
        whole = self.state != "invalid" or not isinstance(self.input, str)
        arguments = encode_value(self.input).decode() if whole else "{}"
        function = {"name": self.name, "arguments": arguments}
        extra = {"provider_specific_fields": dict(self.extra)} if self.extra else {}
        return {"id": self.id, "type": "function", "function": function, **extra}

    def marks(self, *, title: bool = False) -> Chunk:
        """The fields that all chunks of the call share."""
        tool = self.tool
        if tool is None:
            return {}
        marks: Chunk = {"dynamic": True} if tool.dynamic else {}
        if title and tool.title is not None:
            marks["title"] = tool.title
        return marks


def read_call(call_id: str, name: str, arguments: str, tools: Mapping[str, Tool]) -> ToolCall:
    """Make a call of what the model sent; one that cannot be run comes back `invalid`."""
    call = ToolCall(call_id, name, arguments, tools.get(name))
    try:
        parsed = _parse(name, arguments)
    except InvalidToolInput as error:
        call.state, call.error = "invalid", error
    else:
        call.input = parsed
        check(call)
    if call.tool is None:
        call.state, call.error = "invalid", NoSuchTool(name, tools)
    return call


def check(call: ToolCall) -> None:
    """Validate the call's input against its tool."""
    if call.tool is None:
        return
    try:
        call.value, call.input = call.tool.validate(call.input)
    except InvalidToolInput as error:
        call.state, call.error = "invalid", error


def _parse(name: str, arguments: str) -> Any:
    if not arguments.strip():
        return {}
    try:
        parsed = orjson.loads(arguments)
        if _FORBIDDEN_KEY in arguments and _has_forbidden_key(parsed):
            raise ValueError("Object contains forbidden prototype property")
    except ValueError as error:
        why = f"AI_JSONParseError: JSON parsing failed: Text: {arguments}.\nError message: SyntaxError: {error}"
        raise InvalidToolInput(name, why) from error
    return parsed


def _has_forbidden_key(value: Any) -> bool:
    if isinstance(value, dict):
        return _FORBIDDEN_KEY in value or any(map(_has_forbidden_key, value.values()))
    return isinstance(value, list) and any(map(_has_forbidden_key, value))
