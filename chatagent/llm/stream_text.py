"""`stream_text`: a model's answer, with tools, as a stream of UI message chunks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from chatagent.errors import ConfigError
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
from chatagent.llm.tool import told_by
from chatagent.signal import AbortSignal
from chatagent.ui import to_model_messages

#: Steps after which an answer ends when nothing else is said.
MAX_STEPS = 20
#: What the AI SDK calls it, and what it is called here; other names are litellm's.
_ELSEWHERE = {
    "abort_signal": "signal= (a turn's own is found by itself)",
    "max_output_tokens": "max_tokens=",
    "max_steps": "stop_when=step_count_is(…)",
    "prompt": "messages=",
    "provider_options": "the provider's parameters by their own names, as litellm takes them",
    "stop_sequences": "stop=",
}
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

    `messages` are in OpenAI's form; UI messages are converted. `system` is text, or a message whose content parts may
    carry `cache_control`.
    Inside a turn the signal, the tools and the system prompt are the turn's unless given here. `tool_choice`: `auto`,
    `none`, `required`, or the name of a tool. A failed model call is tried again `max_retries` times, then with each
    of `fallbacks`, as long as the client has seen nothing of it.
    Errors do not raise while iterating: they are chunks. `await result.text` raises them.
    """
    context = current_context.get() or ModelContext()
    for name in _ELSEWHERE.keys() & litellm_params.keys():
        raise ConfigError(f"stream_text has no {name}=; here it is {_ELSEWHERE[name]}")
    options = Options(
        model=model,
        messages=_told(messages, context),
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


def _told(messages: Sequence[Message], context: ModelContext) -> Sequence[Message]:
    """What the model is told: UI messages (with `parts`) as it takes them."""
    if not any("parts" in message for message in messages):
        return messages
    outputs = told_by(context.tools)
    return [
        told
        for message in messages
        for told in (to_model_messages([dict(message)], tool_outputs=outputs) if "parts" in message else [message])
    ]
