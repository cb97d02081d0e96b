"""The runtime's look between steps: what it may change, and when it is asked."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chatagent.errors import ConfigError
from chatagent.llm import ModelContext, NextStep, StepPlan, StreamOptions, stream_text, tool
from chatagent.llm.system import system_messages
from chatagent.signal import AbortController
from tests.llm.model import DONE, QUESTION, Model, call, calling, kinds, read
from tests.provider import ScriptStep

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
NOTE = {"type": "data-note", "data": 1}


@tool
async def add(a: int) -> int:
    """Add one."""
    return a + 1


class Planner:
    """Answers with one plan per step, and remembers what it was told."""

    def __init__(self, *plans: StepPlan | None) -> None:
        self.told: list[NextStep] = []
        self._plans = list(plans)

    async def __call__(self, step: NextStep) -> StepPlan | None:
        await asyncio.sleep(0)
        self.told.append(step)
        return self._plans.pop(0) if self._plans else None

    @property
    def context(self) -> ModelContext:
        return ModelContext(plan_step=self)


def adding(number: int, **more: Any) -> list[ScriptStep]:
    usage: list[ScriptStep] = [{"usage": USAGE}]
    return [*calling(call("add", f'{{"a":{number}}}', call_id=f"c{number}")), *usage]


def test_the_runtime_is_asked_before_every_model_call_the_first_included(model: Model) -> None:
    planner = Planner()
    model.ask(adding(1), DONE, context=planner.context, tools=[add])
    assert [step.number for step in planner.told] == [0, 1]
    assert [step.usage.total_tokens for step in planner.told] == [None, 15]
    assert [step.last_usage.total_tokens for step in planner.told] == [None, 15]
    assert [len(step.messages) for step in planner.told] == [1, 3]
    assert {step.source for step in planner.told} == {"inner"}


def test_last_usage_is_of_the_last_step_and_usage_of_all(model: Model) -> None:
    planner = Planner()
    model.ask(adding(1), adding(2), DONE, context=planner.context, tools=[add])
    assert [step.usage.total_tokens for step in planner.told] == [None, 15, 30]
    assert planner.told[2].last_usage.total_tokens == 15


def test_appended_messages_stay_in_the_conversation(model: Model) -> None:
    steered = {"role": "user", "content": "be brief"}
    planner = Planner(None, {"append": [steered]})
    result = model.stream(adding(1), adding(2), DONE, context=planner.context, tools=[add])
    model.run(read(result))
    assert model.told[0] == QUESTION
    assert [message["role"] for message in model.told[1]] == ["user", "assistant", "tool", "user"]
    assert [message["role"] for message in model.told[2]] == ["user", "assistant", "tool", "user", "assistant", "tool"]
    assert model.told[2][3] == steered

    async def added() -> list[dict[str, Any]]:
        return await result.response_messages

    assert steered in model.run(added())


def test_a_replaced_conversation_stays_replaced_and_append_follows_it(model: Model) -> None:
    summary, steered = {"role": "user", "content": "summary"}, {"role": "user", "content": "and now?"}
    planner = Planner(None, {"append": [steered], "replace": [summary]})
    model.ask(adding(1), adding(2), DONE, context=planner.context, tools=[add])
    assert model.told[1] == [summary, steered]
    assert [message["role"] for message in model.told[2]] == ["user", "user", "assistant", "tool"]


def test_instructions_follow_the_system_prompt_for_the_rest_of_the_answer(model: Model) -> None:
    planner = Planner(None, {"system": "Be brief."}, {"system": "Be kind."})
    model.ask(adding(1), adding(2), DONE, context=planner.context, tools=[add], system="You help.")
    prompts = [messages[0]["content"] for messages in model.told]
    assert prompts == ["You help.", "You help.\n\nBe brief.", "You help.\n\nBe brief.\n\nBe kind."]


def test_instructions_are_a_system_prompt_where_there_is_none(model: Model) -> None:
    model.ask(DONE, context=Planner({"system": "Be brief."}).context)
    assert model.told[0] == [{"role": "system", "content": "Be brief."}, *QUESTION]


def test_chunks_of_a_plan_stand_between_the_steps(model: Model) -> None:
    planner = Planner({"chunks": [NOTE]}, {"chunks": [NOTE]})
    chunks = model.ask(adding(1), DONE, context=planner.context, tools=[add])
    seen = kinds(chunks)
    assert seen[:3] == ["start", "data-note", "start-step"]
    between = seen.index("finish-step")
    assert seen[between : between + 3] == ["finish-step", "data-note", "start-step"]


def test_the_author_has_the_last_word(model: Model) -> None:
    planner = Planner({"append": [{"role": "user", "content": "steered"}]})
    seen: list[NextStep] = []

    def prepare(step: NextStep) -> Any:
        seen.append(step)
        return {"messages": [{"role": "user", "content": "mine"}]}

    model.ask(DONE, context=planner.context, prepare_step=prepare)
    assert [message["content"] for message in seen[0].messages] == ["hi", "steered"]
    assert model.told[0] == [{"role": "user", "content": "mine"}]


def test_only_the_first_whole_answer_of_a_turn_is_planned(model: Model) -> None:
    planner = Planner()
    context = planner.context
    aside = model.stream(DONE, DONE, DONE, context=context)
    first, second = model.stream(context=context), model.stream(context=context)

    async def all_three() -> None:
        await aside.text
        assert planner.told == []
        await read(first)
        assert len(planner.told) == 1
        await read(second)

    model.run(all_three())
    assert len(planner.told) == 1


def test_an_answer_inside_a_tool_is_not_planned(model: Model) -> None:
    planner = Planner()

    @tool
    async def ask() -> str:
        """Ask another model."""
        inner = stream_text("openai/fake", QUESTION, api_base=model.provider.url, api_key="k")
        return "".join([chunk.get("delta", "") async for chunk in inner])

    model.ask(
        calling(call("ask")), [{"content": "inner"}, {"finish": "stop"}], DONE, context=planner.context, tools=[ask]
    )
    assert [step.number for step in planner.told] == [0, 1]


def test_a_stop_ends_a_plan_in_the_making(model: Model) -> None:
    controller = AbortController()
    begun, ended = asyncio.Event(), asyncio.Event()

    async def plan(step: NextStep) -> StepPlan | None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return None

    async def stopped() -> list[dict[str, Any]]:
        result = model.stream(context=ModelContext(plan_step=plan, signal=controller.signal))
        reading = asyncio.create_task(read(result))
        await begun.wait()
        controller.abort("stopped")
        return await reading

    assert kinds(model.run(stopped())) == ["start", "abort"]
    assert ended.is_set()
    assert model.provider.requests == []


def test_a_plan_that_fails_is_an_error_of_the_answer(model: Model) -> None:
    async def plan(step: NextStep) -> StepPlan | None:
        raise RuntimeError("no plan")

    assert kinds(model.ask(context=ModelContext(plan_step=plan))) == ["start", "error"]


def test_a_prompt_of_parts_keeps_them_and_instructions_come_last() -> None:
    cached = {"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}
    assert system_messages({"content": [cached]}, ["more"]) == [
        {"role": "system", "content": [cached, {"type": "text", "text": "more"}]}
    ]
    assert system_messages({"role": "system", "content": "a", "cache_control": {}}, ["b"]) == [
        {"role": "system", "content": "a\n\nb", "cache_control": {}}
    ]
    assert system_messages(None) == []
    with pytest.raises(ConfigError, match="list of parts"):
        system_messages({"text": "a"})


def test_stream_options_are_merged_by_name() -> None:
    options = StreamOptions(send_sources=True).merged(send_reasoning=False)
    assert (options.send_sources, options.send_reasoning) == (True, False)
    with pytest.raises(ConfigError, match=r"send_source$"):
        options.merged(send_source=True)
