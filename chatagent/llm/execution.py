"""Running the tools of a step side by side, and what code inside a running tool may know of its call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from chatagent.errors import TooLarge
from chatagent.llm.call import Emit, ToolCall
from chatagent.llm.context import ModelContext, current_context
from chatagent.llm.error import describe
from chatagent.llm.stand_in import current_stand_in
from chatagent.signal import AbortSignal
from chatagent.ui import encode_value

logger = logging.getLogger(__name__)

#: Seconds that cancelled tools have to clean up before the answer ends without them.
CANCEL_GRACE_S = 2.0

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOptions:
    """What a running tool may know of its call."""

    tool_call_id: str
    tool_name: str
    #: The validated arguments as JSON.
    input: Any
    #: The conversation that the model was given when it made the call, without the system prompt.
    messages: Sequence[Message]
    #: Aborts when the answer is stopped or cancelled.
    signal: AbortSignal | None


#: The call whose tool is running: its id, name and input.
current_call: ContextVar[ToolCall | None] = ContextVar("chatagent_tool_call", default=None)
_current_options: ContextVar[ToolOptions | None] = ContextVar("chatagent_tool_options", default=None)


def current_tool_options() -> ToolOptions | None:
    """What is known of the call whose tool is running; None outside of tools."""
    return _current_options.get()


def tool_call_id() -> str | None:
    """The id of the call whose tool is running; None outside of tools."""
    options = _current_options.get()
    return options.tool_call_id if options is not None else None


def abort_signal() -> AbortSignal | None:
    """The signal of the turn that the running tool belongs to."""
    context = current_context.get()
    return context.signal if context is not None else None


async def execute_all(
    calls: Sequence[ToolCall], emit: Emit, context: ModelContext, messages: Sequence[Message]
) -> None:
    """Run the calls side by side; when this is cancelled, so are they. `messages` led to the calls."""
    tasks = [asyncio.create_task(execute(call, emit, context, messages), name=f"tool {call.name}") for call in calls]
    if not tasks:
        return
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=CANCEL_GRACE_S)


async def execute(call: ToolCall, emit: Emit, context: ModelContext, messages: Sequence[Message]) -> None:
    """Run the call's tool and emit its outputs; an error of the tool is an answer, too."""
    if call.tool is None:
        return
    current_call.set(call)
    _current_options.set(
        ToolOptions(
            tool_call_id=call.id, tool_name=call.name, input=call.input, messages=messages, signal=context.signal
        )
    )
    current_context.set(context.beside())
    try:
        if (stand_in := current_stand_in()) is not None:
            await stand_in.before_tool(call.name)
        async for output, preliminary in call.tool.outputs(call.value):
            _check_size(call, output, context.max_output_bytes)
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


def _check_size(call: ToolCall, output: Any, limit_bytes: int | None) -> None:
    """Raises: TooLarge for an output that no chunk can carry: the model may ask for less."""
    if limit_bytes is not None and len(encode_value(output)) > limit_bytes:
        raise TooLarge(f"the output of {call.name}", limit_bytes=limit_bytes)


def fail(call: ToolCall, error: BaseException, emit: Emit) -> None:
    """Answer the call with an error."""
    call.state, call.error = "failed", error
    chunk = {"type": "tool-output-error", "toolCallId": call.id, "errorText": describe(error), **call.marks()}
    emit(chunk, error=error)
