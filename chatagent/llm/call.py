"""One call of a tool: read from the model's arguments, asked about, run, and answered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson

from chatagent.llm.context import ModelContext, current_context
from chatagent.llm.error import InvalidToolInput, NoSuchTool, describe
from chatagent.llm.tool import Tool
from chatagent.signal import AbortSignal
from chatagent.ui import encode_value, model_output

logger = logging.getLogger(__name__)

Chunk = dict[str, Any]
Emit = Callable[..., None]

#: What the model reads when the user said no without a reason.
DENIED = "Tool call execution denied."
#: Seconds that cancelled tools have to clean up before the answer ends without them.
CANCEL_GRACE_S = 2.0
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
        output = self.output
        if self.tool is not None and self.tool.to_model_output is not None:
            return model_output(self.tool.to_model_output(output), content=True)
        return model_output(output)

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


#: The call whose tool is running: its id, name and input.
current_call: ContextVar[ToolCall | None] = ContextVar("chatagent_tool_call", default=None)


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


async def execute_all(calls: Sequence[ToolCall], emit: Emit, context: ModelContext) -> None:
    """Run the calls side by side; when this is cancelled, so are they."""
    tasks = [asyncio.create_task(execute(call, emit, context), name=f"tool {call.name}") for call in calls]
    if not tasks:
        return
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=CANCEL_GRACE_S)


async def execute(call: ToolCall, emit: Emit, context: ModelContext) -> None:
    """Run the call's tool and emit its outputs; an error of the tool is an answer, too."""
    if call.tool is None:
        return
    current_call.set(call)
    # What a tool streams itself is another answer: it must not take over this one's pending calls or its tools.
    current_context.set(replace(context, tools={}, system=None, response=None, open_step=False))
    try:
        async for output, preliminary in call.tool.outputs(call.value):
            call.output = output
            flag = {"preliminary": True} if preliminary else {}
            emit({"type": "tool-output-available", "toolCallId": call.id, "output": output, **flag, **call.marks()})
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        fail(call, error, emit)  # the tool's own affair: something that it awaited was cancelled
    except Exception as error:
        logger.warning("tool failed", exc_info=True, extra={"tool": call.name, "tool_call_id": call.id})
        fail(call, error, emit)
    else:
        call.state = "done"


def fail(call: ToolCall, error: BaseException, emit: Emit) -> None:
    """Answer the call with an error."""
    call.state, call.error = "failed", error
    chunk = {"type": "tool-output-error", "toolCallId": call.id, "errorText": describe(error), **call.marks()}
    emit(chunk, error=error)


def abort_signal() -> AbortSignal | None:
    """The signal of the turn that the running tool belongs to."""
    context = current_context.get()
    return context.signal if context is not None else None


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
