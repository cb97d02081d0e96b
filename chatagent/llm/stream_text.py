"""`stream_text`: a model's answer, with tools, as a stream of UI message chunks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from chatagent.llm.answer import LiveAnswer
from chatagent.llm.choice import ToolChoice
from chatagent.llm.context import ModelContext, current_context
from chatagent.llm.function_tool import to_tools
from chatagent.llm.loop import Loop
from chatagent.llm.options import OnError, OnFinish, OnStepFinish, Options, PrepareStep, Tools
from chatagent.llm.plan import Message
from chatagent.llm.result import StreamTextResult
from chatagent.llm.stop import StopCondition, step_count_is
from chatagent.llm.system import System
from chatagent.signal import AbortSignal

#: Steps after which an answer ends when nothing else is said.
MAX_STEPS = 20
#: How often a failed model call is tried again.
MAX_RETRIES = 2


def stream_text(
    model: str,
    messages: Sequence[Message],
    *,
    system: System | None = None,
    tools: Tools | None = None,
    tool_choice: ToolChoice = None,
    stop_when: StopCondition | Iterable[StopCondition] | None = None,
    prepare_step: PrepareStep | None = None,
    signal: AbortSignal | None = None,
    max_retries: int = MAX_RETRIES,
    fallbacks: Sequence[str] = (),
    on_step_finish: OnStepFinish | None = None,
    on_finish: OnFinish | None = None,
    on_error: OnError | None = None,
    **litellm_params: Any,
) -> StreamTextResult:
    """Let a model answer, with tools, as a stream.

    `messages` are in OpenAI's form; `system` is text, or a message whose content parts may carry `cache_control`.
    Inside a turn the signal, the tools and the system prompt are the turn's unless given here. `tool_choice`: `auto`,
    `none`, `required`, or the name of a tool. A failed model call is tried again `max_retries` times, then with each
    of `fallbacks`, as long as the client has seen nothing of it.
    Errors do not raise while iterating: they are chunks. `await result.text` raises them.
    """
    context = current_context.get() or ModelContext()
    options = Options(
        model=model,
        messages=messages,
        system=system if system is not None else context.system,
        tools=to_tools(tools) if tools is not None else context.tools,
        tool_choice=tool_choice,
        stop_when=stop_when if stop_when is not None else step_count_is(MAX_STEPS),
        prepare_step=prepare_step,
        max_retries=max_retries,
        fallbacks=fallbacks,
        on_step_finish=on_step_finish,
        on_finish=on_finish,
        on_error=on_error,
        params=litellm_params,
    )
    abort = signal if signal is not None else context.signal
    context = replace(context, signal=abort)

    async def work(live: LiveAnswer, whole: bool) -> None:
        await Loop(options, context, live).answer(whole)

    return StreamTextResult(LiveAnswer(work, abort), context.options)
