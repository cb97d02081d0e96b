"""The step loop: call the model, run its tools, call it again, until it has answered or a condition holds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from chatagent.errors import MASKED_ERROR
from chatagent.llm import pending
from chatagent.llm.answer import LiveAnswer
from chatagent.llm.call import ToolCall, check
from chatagent.llm.choice import to_openai, violation
from chatagent.llm.context import ModelContext
from chatagent.llm.error import ModelError, NoSuchTool
from chatagent.llm.execution import execute_all, fail
from chatagent.llm.model_call import call_model
from chatagent.llm.options import Options, StepSettings
from chatagent.llm.plan import Message, NextStep, PlanStep
from chatagent.llm.provider import ModelRequest
from chatagent.llm.step import Step, StepWriter, answer_message
from chatagent.llm.stop import is_met
from chatagent.llm.system import system_messages
from chatagent.llm.tool import Tool
from chatagent.llm.usage import Usage
from chatagent.llm.wait import settle

logger = logging.getLogger(__name__)

#: Finish reasons after which the model wants its calls answered.
_WANTS_ANSWERS = ("stop", "tool-calls")


class _Failed(Exception):
    """The error was told; the answer is over."""


class Loop:
    """One answer in the making."""

    def __init__(self, options: Options, context: ModelContext, live: LiveAnswer) -> None:
        self._options = options
        self._context = context
        self._answer = live.answer
        self._emit = live.emit
        self._messages: list[Message] = list(options.messages)
        #: Steps of the response that this answer continues.
        self._past: list[Step] = []
        self._open_step = False
        self._plan_step: PlanStep | None = None
        #: Instructions of plans, for the rest of the answer.
        self._instructions: list[str] = []

    async def answer(self, whole: bool) -> None:
        """Run to the end. An error becomes a chunk, whatever it is; cancellation passes through."""
        response = self._claim(whole)
        if whole and self._context.plan_step is not None and self._context.lead.take():
            self._plan_step = self._context.plan_step
        known_id = {"messageId": response["id"]} if response and response.get("id") else {}
        self._emit({"type": "start", **known_id})
        try:
            # A signal that was aborted before now cancels this task here, before any work is done.
            await asyncio.sleep(0)
            more = await self._continue()
            while more:
                more = await self._step()
            await self._finish()
        except _Failed:
            pass
        except Exception as error:
            logger.exception("answer failed", extra={"model": self._options.model})
            await self._tell(error)

    # -- what an earlier turn left ------------------------------------------------------------------------------

    def _claim(self, whole: bool) -> Mapping[str, Any] | None:
        """The response that this answer continues; `None` also for one that only reads some text on the side."""
        context, response = self._context, self._context.response
        if response is None and not context.open_step:
            return None
        steps = pending.steps_of(response, self._options.tools) if response is not None else []
        named = bool(steps) and pending.mentions(self._messages, steps[-1].calls)
        if not (whole or named) or not context.claim.take():
            return None
        self._past, self._open_step = steps, context.open_step
        return response

    async def _continue(self) -> bool:
        """Answer the calls that the response still has open; whether the model is to be called then."""
        last = self._past[-1] if self._past else Step()
        self._past = [step for step in self._past if step.calls or step.text or step.reasoning]
        left = [call for call in last.calls if not call.answered]
        await self._answer_pending(left)
        answered = [call for call in left if call.answered]
        if answered:
            self._messages = [*pending.add_answers(self._messages, last.calls, answered)]
            self._answer.messages += [answer_message(call) for call in answered]
        goes_on = not last.waits
        if self._open_step and last.calls:
            self._open_step = False
            self._emit({"type": "finish-step"})
            goes_on = goes_on and not await is_met(self._options.stop_when, self._past)
        if not goes_on:
            self._answer.finish_reason = "tool-calls"
        return goes_on

    async def _answer_pending(self, calls: Sequence[ToolCall]) -> None:
        for call in calls:
            if call.approved is False:
                call.state = "denied"
                self._emit({"type": "tool-output-denied", "toolCallId": call.id})
        for call in calls:
            if call.state == "called":
                await self._resume(call)
        await self._execute([call for call in calls if call.runs_here], self._messages)

    async def _resume(self, call: ToolCall) -> None:
        """Make a call of an earlier turn ready to run: nothing is believed that was not checked again."""
        if call.tool is None:
            fail(call, NoSuchTool(call.name, self._options.tools), self._emit)
            return
        check(call)
        if call.error is not None:
            fail(call, call.error, self._emit)
        elif call.approved is None:
            await self._ask(call)
        elif call.tool.execute is None:
            # The user allowed it: from here on it is the client's to answer.
            self._emit({"type": "tool-input-available", **_shown(call)})

    # -- one step -----------------------------------------------------------------------------------------------

    async def _step(self) -> bool:
        """One model call and its tools; whether another one follows."""
        await self._plan()
        request, tools = await self._request()
        writer = StepWriter(
            tools,
            self._emit,
            self._context.new_id,
            open_step=self._open_step,
            no_calls=request.tool_choice == "none",
        )
        step = writer.step
        try:
            failed = await self._model_step(request, writer)
            if not failed and step.finish_reason in _WANTS_ANSWERS:
                given = [message for message in request.messages if message.get("role") != "system"]
                await self._execute([call for call in step.calls if call.runs_here], given)
        except asyncio.CancelledError:
            self._answer.steps.append(writer.partial())
            raise
        self._open_step = False
        await self._end_step(step)
        if failed or not step.calls or step.waits:
            return False
        return not await is_met(self._options.stop_when, [*self._past, *self._answer.steps])

    async def _plan(self) -> None:
        """Let the runtime look at the answer between two steps, and do what it says."""
        if self._plan_step is None:
            return
        plan = await self._plan_step(self._next_step()) or {}
        if (whole := plan.get("replace")) is not None:
            self._messages = list(whole)
        joined = [dict(message) for message in plan.get("append", ())]
        self._messages += joined
        self._answer.messages += joined
        if instructions := plan.get("system"):
            self._instructions.append(instructions)
        for chunk in plan.get("chunks", ()):
            self._emit(chunk)

    def _next_step(self) -> NextStep:
        steps = [*self._past, *self._answer.steps]
        return NextStep(
            number=len(steps),
            model=self._options.model,
            messages=tuple(self._messages),
            steps=steps,
            usage=self._answer.usage,
            last_usage=self._answer.steps[-1].usage if self._answer.steps else Usage(),
        )

    async def _execute(self, calls: Sequence[ToolCall], messages: Sequence[Message]) -> None:
        await execute_all(calls, self._emit, self._context, tuple(messages))

    async def _request(self) -> tuple[ModelRequest, Mapping[str, Tool]]:
        options = self._options
        settings: StepSettings = {}
        if options.prepare_step is not None:
            answer: StepSettings | None = await settle(options.prepare_step(self._next_step()))
            settings = answer or {}
        prompt = system_messages(settings.get("system", options.system), self._instructions)
        tools = {name: options.tools[name] for name in settings.get("tools", tuple(options.tools))}
        request = ModelRequest(
            model=settings.get("model", options.model),
            messages=[*prompt, *settings.get("messages", self._messages)],
            tools=[tool.definition for tool in tools.values()],
            tool_choice=to_openai(settings.get("tool_choice", options.tool_choice)),
            params={**options.params, **settings.get("params", {})},
        )
        return request, tools

    async def _model_step(self, request: ModelRequest, writer: StepWriter) -> bool:
        """Write the model's answer and its calls; whether it failed. Raises: _Failed when there is no step at all."""
        options, step = self._options, writer.step
        outcome = await call_model(request, writer, max_retries=options.max_retries, fallbacks=options.fallbacks)
        step.model = outcome.model
        if outcome.error is not None:
            logger.error("model call failed", exc_info=outcome.error, extra={"model": outcome.model})
            if outcome.opened:
                writer.start()
            await self._tell(outcome.error)
            if not outcome.opened:
                raise _Failed
        calls = writer.close()
        self._count(step)
        for call in calls:
            await self._show(call)
        failure: Exception | None = outcome.error
        if failure is None and (failure := _broken_rule(writer, request)) is not None:
            logger.error("model call failed", exc_info=failure, extra={"model": outcome.model})
            await self._tell(failure)
        if failure is not None:
            step.finish_reason = "error"
        return failure is not None

    async def _show(self, call: ToolCall) -> None:
        """Tell the client what is called, and ask it where the tool wants that."""
        if call.error is None:
            self._emit({"type": "tool-input-available", **_shown(call)})
            await self._ask(call)
            return
        unknown = {"dynamic": True} if call.tool is None else {}
        self._emit({"type": "tool-input-error", **_shown(call), **unknown, "errorText": MASKED_ERROR}, error=call.error)

    async def _ask(self, call: ToolCall) -> None:
        """Let the call wait for an approval if its tool says so; a check that fails is no permission."""
        if call.tool is None:
            return
        try:
            asks = await call.tool.must_ask(call.value)
        except Exception as error:
            logger.exception("needs_approval failed", extra={"tool": call.name})
            fail(call, error, self._emit)
            return
        if asks:
            call.state = "asked"
            self._emit({"type": "tool-approval-request", "approvalId": self._context.new_id(), "toolCallId": call.id})

    def _count(self, step: Step) -> None:
        """Add up the usage as soon as it is known: a later stop does not make it free."""
        self._answer.usage += step.usage
        used = step.usage.to_dict()
        if used and self._context.on_usage is not None:
            self._context.on_usage(used)

    async def _end_step(self, step: Step) -> None:
        self._answer.steps.append(step)
        self._answer.finish_reason = step.finish_reason
        messages = step.messages()
        self._messages += messages
        self._answer.messages += messages
        if self._options.on_step_finish is not None:
            await settle(self._options.on_step_finish(step))
        self._emit({"type": "finish-step"}, usage=step.usage.to_dict(), finishReason=step.finish_reason)

    # -- the end ------------------------------------------------------------------------------------------------

    async def _finish(self) -> None:
        if self._options.on_finish is not None:
            await settle(self._options.on_finish(self._answer))
        reason = self._answer.finish_reason or "other"
        self._emit({"type": "finish", "finishReason": reason}, totalUsage=self._answer.usage.to_dict())

    async def _tell(self, error: Exception) -> None:
        """Put the error into the stream, masked, and hand it to `on_error` whole."""
        self._answer.error, self._answer.finish_reason = error, "error"
        self._emit({"type": "error", "errorText": MASKED_ERROR}, error=error)
        if self._options.on_error is not None:
            try:
                await settle(self._options.on_error(error))
            except Exception:
                logger.exception("on_error failed")


def _shown(call: ToolCall) -> dict[str, Any]:
    return {"toolCallId": call.id, "toolName": call.name, "input": call.input, **call.marks(title=True)}


def _broken_rule(writer: StepWriter, request: ModelRequest) -> Exception | None:
    """What is wrong with an answer that came whole."""
    if writer.finish_reason is None:
        return ModelError("Response stream ended without a finish reason.", retryable=True)
    if writer.nameless:
        return ModelError("Model response contained a tool call without a name.")
    return violation(request.tool_choice, writer.step.calls, unwanted=writer.unwanted)
