"""One answer: its chunks, its values, its tools."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from chatagent.llm import (
    Answer,
    ModelContext,
    ModelError,
    NextStep,
    Step,
    StepSettings,
    StreamOptions,
    Tool,
    ToolChoiceViolation,
    client_tool,
    current_call,
    has_tool_call,
    step_count_is,
    stream_text,
    tool,
)
from tests.llm.model import DONE, QUESTION, Model, call, calling, kinds, of_kind, read
from tests.provider import ScriptStep

USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "total_tokens": 15,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 2},
}


def used(times: int) -> dict[str, Any]:
    """USAGE so many times, in the AI SDK's names."""
    return {
        "inputTokens": 10 * times,
        "outputTokens": 5 * times,
        "totalTokens": 15 * times,
        "cachedInputTokens": 4 * times,
        "reasoningTokens": 2 * times,
        "inputTokenDetails": {"cacheReadTokens": 4 * times},
        "outputTokenDetails": {"reasoningTokens": 2 * times},
    }


@tool
async def add(a: int, b: int = 1) -> int:
    """Add numbers."""
    return a + b


def test_nothing_happens_until_somebody_reads(model: Model) -> None:
    model.stream(DONE)
    assert model.provider.requests == []


def test_two_readers_share_one_model_call(model: Model) -> None:
    result = model.stream([{"content": "a"}, {"sleep": 20}, {"content": "b"}, {"finish": "stop"}])

    async def both() -> tuple[Any, Any, str]:
        one, other = await asyncio.gather(read(result), read(result))
        return one, other, await result.text

    one, other, text = model.run(both())
    assert one == other
    assert text == "ab"
    assert len(model.provider.requests) == 1


def test_the_values_of_an_answer_can_be_awaited_without_reading_it(model: Model) -> None:
    result = model.stream(calling(call("add", '{"a":1}')), [*DONE, {"usage": USAGE}], tools=[add])

    async def values() -> tuple[Any, ...]:
        return await result.text, await result.finish_reason, await result.steps, await result.response_messages

    text, finish_reason, steps, messages = model.run(values())
    assert (text, finish_reason) == ("done", "stop")
    assert [step.finish_reason for step in steps] == ["tool-calls", "stop"]
    assert [each["role"] for each in messages] == ["assistant", "tool", "assistant"]


def test_usage_is_the_sum_over_the_steps(model: Model) -> None:
    counted: list[dict[str, Any]] = []
    result = model.stream(
        [*calling(call("add", '{"a":1}')), {"usage": USAGE}],
        [*DONE, {"usage": USAGE}],
        tools=[add],
        context=ModelContext(on_usage=counted.append),
    )
    model.run(read(result))

    async def usage() -> dict[str, Any]:
        return (await result.usage).to_dict()

    assert counted == [used(1), used(1)]
    assert model.run(usage()) == used(2)


def test_what_the_provider_does_not_report_is_not_made_up(model: Model) -> None:
    result = model.stream(DONE)

    async def usage() -> dict[str, Any]:
        return (await result.usage).to_dict()

    assert model.run(usage()) == {}


def test_a_priced_model_has_a_cost(model: Model) -> None:
    result = model.stream([*DONE, {"usage": USAGE}], model="openai/gpt-4o-mini")

    async def cost() -> float | None:
        return (await result.usage).cost_usd

    found = model.run(cost())
    assert found is not None
    assert 0 < found < 0.01


def test_two_calls_run_at_the_same_time(model: Model) -> None:
    met = asyncio.Barrier(2)

    @tool
    async def meet(name: str) -> str:
        async with asyncio.timeout(5):
            await met.wait()
        return name

    chunks = model.ask(
        calling(call("meet", '{"name":"a"}'), call("meet", '{"name":"b"}', call_id="c2", index=1)),
        DONE,
        tools=[meet],
    )
    outputs = {chunk["toolCallId"]: chunk["output"] for chunk in of_kind(chunks, "tool-output-available")}
    assert outputs == {"c1": "a", "c2": "b"}
    assert [each["tool_call_id"] for each in model.told[1] if each["role"] == "tool"] == ["c1", "c2"]


def test_outputs_are_shown_as_they_come_and_told_in_the_order_of_the_calls(model: Model) -> None:
    first_may_end = asyncio.Event()

    @tool
    async def slow() -> str:
        await first_may_end.wait()
        return "slow"

    @tool
    async def quick() -> str:
        first_may_end.set()
        return "quick"

    chunks = model.ask(calling(call("slow"), call("quick", call_id="c2", index=1)), DONE, tools=[slow, quick])
    assert [chunk["output"] for chunk in of_kind(chunks, "tool-output-available")] == ["quick", "slow"]
    assert [each["content"] for each in model.told[1] if each["role"] == "tool"] == ["slow", "quick"]


def test_a_plain_function_runs_in_a_thread_with_the_context_of_the_turn(model: Model) -> None:
    setting = contextvars.ContextVar("setting", default="none")
    loop_thread = threading.get_ident()
    seen: list[Any] = []

    @tool
    def look() -> str:
        made = current_call.get()
        seen.extend([threading.get_ident() != loop_thread, setting.get(), made and made.id])
        return "ok"

    async def ask() -> None:
        setting.set("mine")
        await read(model.stream(calling(call("look")), DONE, tools=[look]))

    model.run(ask())
    assert seen == [True, "mine", "c1"]


@pytest.mark.parametrize("colour", ["async", "plain"])
def test_a_generator_gives_preliminary_outputs(model: Model, colour: str) -> None:
    @tool(name="count")
    async def count_async() -> AsyncIterator[int]:
        yield 1
        yield 2

    @tool(name="count")
    def count_plain() -> Iterator[int]:
        yield 1
        yield 2

    chunks = model.ask(calling(call("count")), DONE, tools=[count_async if colour == "async" else count_plain])
    outputs = [(chunk["output"], chunk.get("preliminary")) for chunk in of_kind(chunks, "tool-output-available")]
    assert outputs == [(1, True), (2, True), (2, None)]
    assert model.told[1][-1]["content"] == "2"


def test_results_become_json(model: Model) -> None:
    class Place(BaseModel):
        name: str
        at: tuple[float, float]

    @tool
    async def locate() -> list[Place]:
        return [Place(name="Köln", at=(50.9, 6.9))]

    chunks = model.ask(calling(call("locate")), DONE, tools=[locate])
    assert of_kind(chunks, "tool-output-available")[0]["output"] == [{"name": "Köln", "at": [50.9, 6.9]}]
    assert model.told[1][-1]["content"] == '[{"name":"Köln","at":[50.9,6.9]}]'


def test_a_result_that_is_no_json_is_an_error_of_the_tool(model: Model) -> None:
    @tool
    async def secret() -> object:
        return object()

    chunks = model.ask(calling(call("secret")), DONE, tools=[secret])
    assert "tool-output-error" in kinds(chunks)
    assert kinds(chunks)[-1] == "finish"


def test_the_model_may_read_something_else_than_the_client(model: Model) -> None:
    @tool(to_model_output=lambda rows: f"{len(rows)} rows")
    async def query() -> list[int]:
        return [1, 2, 3]

    chunks = model.ask(calling(call("query")), DONE, tools=[query])
    assert of_kind(chunks, "tool-output-available")[0]["output"] == [1, 2, 3]
    assert model.told[1][-1]["content"] == "3 rows"


def test_a_tool_gets_validated_arguments_and_the_client_sees_them(model: Model) -> None:
    chunks = model.ask(calling(call("add", '{"a":"2","extra":0}')), DONE, tools=[add])
    assert of_kind(chunks, "tool-input-available")[0]["input"] == {"a": 2, "b": 1}
    assert of_kind(chunks, "tool-output-available")[0]["output"] == 3


def test_wrong_arguments_are_told_to_the_model_which_may_try_again(model: Model) -> None:
    chunks = model.ask(
        calling(call("add", '{"a":"two"}')), calling(call("add", '{"a":2}', call_id="c2")), DONE, tools=[add]
    )
    assert kinds(chunks).count("tool-input-error") == 1
    assert of_kind(chunks, "tool-output-available")[0]["output"] == 3
    assert "a: Input should be a valid integer" in model.told[1][-1]["content"]


def test_an_error_of_a_tool_is_an_answer_and_is_logged_whole(model: Model, caplog: pytest.LogCaptureFixture) -> None:
    @tool
    async def broken() -> None:
        raise ValueError("no luck")

    with caplog.at_level(logging.WARNING, "chatagent.llm"):
        chunks = model.ask(calling(call("broken")), DONE, tools=[broken])
    assert of_kind(chunks, "tool-output-error")[0]["errorText"] == "ValueError: no luck"
    assert model.told[1][-1]["content"] == "ValueError: no luck"
    assert any(record.exc_info and "no luck" in str(record.exc_info[1]) for record in caplog.records)


def test_a_client_tool_ends_the_answer_with_its_call_open(model: Model) -> None:
    @client_tool
    def pick_date(title: str) -> str:
        """Let the user pick a date."""
        raise AssertionError("the client answers")

    chunks = model.ask(calling(call("pick_date", '{"title":"When?"}')), tools=[pick_date])
    assert kinds(chunks)[-3:] == ["tool-input-available", "finish-step", "finish"]
    assert chunks[-1]["finishReason"] == "tool-calls"


@pytest.mark.parametrize(
    ("asks", "amount", "asked"), [(True, 1, True), (False, 1, False), ("large", 50, False), ("large", 500, True)]
)
def test_a_tool_may_ask_for_approval(model: Model, asks: Any, amount: int, asked: bool) -> None:
    async def is_large(value: Any) -> bool:
        return bool(value.amount > 100)

    @tool(needs_approval=is_large if asks == "large" else asks)
    async def pay(amount: int) -> str:
        return "paid"

    chunks = model.ask(calling(call("pay", f'{{"amount":{amount}}}')), DONE, tools=[pay])
    assert ("tool-approval-request" in kinds(chunks)) is asked
    assert ("tool-output-available" in kinds(chunks)) is not asked


def test_a_check_for_approval_that_fails_is_no_approval(model: Model) -> None:
    def check(value: Any) -> bool:
        raise LookupError("who is asking?")

    ran: list[int] = []

    @tool(needs_approval=check)
    async def pay(amount: int) -> None:
        ran.append(amount)

    chunks = model.ask(calling(call("pay", '{"amount":1}')), DONE, tools=[pay])
    assert ran == []
    assert of_kind(chunks, "tool-output-error")[0]["errorText"] == "LookupError: who is asking?"


def test_reasoning_is_streamed_and_can_be_held_back(model: Model) -> None:
    script: list[ScriptStep] = [{"reasoning": "hm"}, {"content": "x"}, {"finish": "stop"}]
    shown = model.ask(script)
    assert [chunk["delta"] for chunk in of_kind(shown, "reasoning-delta")] == ["hm"]
    hidden = model.ask(script, context=ModelContext(options=StreamOptions(send_reasoning=False)))
    assert not any(kind.startswith("reasoning") for kind in kinds(hidden))


def test_an_error_in_mid_stream_is_masked_for_clients_and_logged_whole(
    model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[BaseException] = []
    result = model.stream([{"content": "par"}, {"error": {"message": "secret overload"}}], on_error=seen.append)
    with caplog.at_level(logging.ERROR, "chatagent.llm"):
        chunks = model.run(read(result))
    assert of_kind(chunks, "error") == [{"type": "error", "errorText": "An error occurred."}]
    assert kinds(chunks)[-4:] == ["error", "text-end", "finish-step", "finish"]
    assert [str(error) for error in seen] == ["secret overload"]
    assert any(record.exc_info and "secret overload" in str(record.exc_info[1]) for record in caplog.records)


def test_the_text_of_a_failed_answer_raises_what_failed(model: Model) -> None:
    result = model.stream([{"content": "par"}, {"error": {"message": "overloaded"}}])

    async def text() -> str:
        return await result.text

    with pytest.raises(ModelError, match="overloaded"):
        model.run(text())


def test_a_lost_connection_becomes_an_error_chunk(model: Model) -> None:
    chunks = model.ask([{"content": "par"}, {"sleep": 20}, {"destroy": True}])
    assert kinds(chunks) == [
        "start", "start-step", "text-start", "text-delta", "error", "text-end", "finish-step", "finish",
    ]  # fmt: skip


def test_a_callback_that_fails_ends_the_answer_with_an_error(model: Model) -> None:
    def prepare(step: NextStep) -> StepSettings:
        raise RuntimeError("bad settings")

    chunks = model.ask(DONE, prepare_step=prepare)
    assert kinds(chunks) == ["start", "error"]
    assert model.provider.requests == []


def test_the_loop_ends_by_itself_after_so_many_steps(model: Model) -> None:
    script = calling(call("add", '{"a":1}'))
    chunks = model.ask(script, script, script, tools=[add], stop_when=step_count_is(2))
    assert len(model.provider.requests) == 2
    assert chunks[-1] == {"type": "finish", "finishReason": "tool-calls"}


def test_the_loop_ends_after_a_certain_tool(model: Model) -> None:
    script = calling(call("add", '{"a":1}'))
    model.ask(script, DONE, tools=[add], stop_when=[step_count_is(5), has_tool_call("add")])
    assert len(model.provider.requests) == 1


def test_a_step_can_be_prepared(model: Model) -> None:
    told: list[tuple[int, int]] = []

    def prepare(step: NextStep) -> StepSettings | None:
        told.append((step.number, len(step.steps)))
        return {"tools": [], "system": "Be brief.", "params": {"temperature": 0.5}} if step.number else None

    model.ask(calling(call("add", '{"a":1}')), DONE, tools=[add], prepare_step=prepare)
    first, second = (request.body for request in model.provider.requests)
    assert told == [(0, 0), (1, 1)]
    assert "tools" in first and "tools" not in second
    assert second["messages"][0] == {"role": "system", "content": "Be brief."}
    assert second["temperature"] == 0.5


def test_callbacks_see_every_step_and_the_whole(model: Model) -> None:
    steps: list[Step] = []
    answers: list[Answer] = []

    async def finished(answer: Answer) -> None:
        answers.append(answer)

    model.ask(calling(call("add", '{"a":1}')), DONE, tools=[add], on_step_finish=steps.append, on_finish=finished)
    assert [each.name for each in steps[0].calls] == ["add"]
    assert (answers[0].text, answers[0].finish_reason) == ("done", "stop")


def test_the_turn_gives_tools_and_system_prompt(model: Model) -> None:
    context = ModelContext(tools={"add": add}, system="You add.")
    chunks = model.ask(calling(call("add", '{"a":1}')), DONE, context=context)
    assert of_kind(chunks, "tool-output-available")[0]["output"] == 2
    assert model.told[0][0] == {"role": "system", "content": "You add."}


def test_what_is_given_explicitly_wins_over_the_turn(model: Model) -> None:
    model.ask(DONE, context=ModelContext(tools={"add": add}, system="You add."), tools=[], system="No.")
    assert "tools" not in model.provider.requests[0].body
    assert model.told[0][0]["content"] == "No."


def test_a_model_inside_a_tool_does_not_get_the_tools_of_the_turn(model: Model) -> None:
    @tool
    async def summarize() -> str:
        return await stream_text("openai/fake", QUESTION, api_base=model.provider.url, api_key="k").text

    context = ModelContext(tools={"summarize": summarize}, system="outer")
    model.ask(calling(call("summarize")), [{"content": "short"}, {"finish": "stop"}], DONE, context=context)
    inner = model.provider.requests[1].body
    assert "tools" not in inner
    assert inner["messages"] == QUESTION


@pytest.mark.parametrize("choice", ["required", "add"])
def test_a_model_that_ignores_the_tool_choice_has_failed(model: Model, choice: str) -> None:
    result = model.stream(DONE, tools=[add], tool_choice=choice)
    chunks = model.run(read(result))
    assert kinds(chunks)[-3:] == ["error", "finish-step", "finish"]

    async def text() -> str:
        return await result.text

    with pytest.raises(ToolChoiceViolation):
        model.run(text())


def test_metadata_goes_beside_the_chunks(model: Model) -> None:
    def metadata(part: dict[str, Any]) -> Any:
        return {"tokens": part["totalUsage"]["totalTokens"]} if part["type"] == "finish" else None

    context = ModelContext(options=StreamOptions(message_metadata=metadata))
    chunks = model.ask([*DONE, {"usage": USAGE}], context=context)
    assert chunks[-1] == {"type": "finish", "finishReason": "stop", "messageMetadata": {"tokens": 15}}


def test_part_ids_are_unique_in_a_message(model: Model) -> None:
    chunks = model.ask(
        [{"reasoning": "r"}, {"content": "a"}, {"reasoning": "s"}, {"content": "b"}, *calling(call("add", '{"a":1}'))],
        DONE,
        tools=[add],
    )
    starts = [chunk["id"] for chunk in chunks if chunk["type"] in ("text-start", "reasoning-start")]
    assert len(starts) == 5 == len(set(starts))


def test_providers_that_number_every_call_zero_are_understood(model: Model) -> None:
    chunks = model.ask(
        calling(call("add", '{"a":1}'), call("add", '{"a":', call_id="c2"), {"tool": [{"index": 0, "args": "2}"}]}),
        DONE,
        tools=[add],
    )
    inputs = [(chunk["toolCallId"], chunk["input"]["a"]) for chunk in of_kind(chunks, "tool-input-available")]
    assert inputs == [("c1", 1), ("c2", 2)]


def test_a_model_that_repeats_itself_is_no_error(model: Model) -> None:
    chunks = model.ask([*({"content": "same "} for _ in range(150)), {"finish": "stop"}])
    assert len(of_kind(chunks, "text-delta")) == 150
    assert kinds(chunks)[-1] == "finish"


def test_a_tool_with_a_json_schema_gets_plain_json(model: Model) -> None:
    async def execute(arguments: Any) -> Any:
        return arguments

    remote = Tool(name="remote", input={"type": "object"}, execute=execute, dynamic=True)
    chunks = model.ask(calling(call("remote", '{"any":[1]}')), DONE, tools=[remote])
    tool_chunks = [chunk for chunk in chunks if "toolCallId" in chunk and chunk["type"] != "tool-input-delta"]
    assert all(chunk["dynamic"] for chunk in tool_chunks)
    assert tool_chunks[-1]["output"] == {"any": [1]}
