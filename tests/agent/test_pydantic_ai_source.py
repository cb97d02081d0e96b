"""pydantic-ai's own runs, against a provider over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, DeferredToolRequests, DeferredToolResults, ModelRetry
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from tests.agent.drain import Drained, call, drain, drain_into, reasoning, step, text
from tests.provider import FakeProvider

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
CALL: list[dict[str, Any]] = [
    {"reasoning": "Let me "},
    {"reasoning": "see."},
    {"content": "I look "},
    {"content": "it up."},
    {"tool": [{"index": 0, "id": "c1", "name": "look", "args": '{"at":'}]},
    {"tool": [{"index": 0, "args": " 1}"}]},
    {"finish": "tool_calls"},
    {"usage": USAGE},
]
ANSWER: list[dict[str, Any]] = [{"content": "Found "}, {"content": "it."}, {"finish": "stop"}, {"usage": USAGE}]
WHOLE = [
    step(),
    reasoning("Let me see."),
    text("I look it up."),
    call("look", "c1", {"at": 1}, {"at": 1, "seen": True}),
    step(),
    text("Found it."),
]
COUNTED = [{"inputTokens": 20, "outputTokens": 10, "totalTokens": 30}]


class Seen(BaseModel):
    at: int
    seen: bool = True


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with FakeProvider() as running:
        yield running


@asynccontextmanager
async def agent(provider: FakeProvider, **options: Any) -> AsyncIterator[Agent[None, Any]]:
    """An agent with one tool, whose model is the provider."""
    door = OpenAIProvider(base_url=provider.url, api_key="x")
    made: Agent[None, Any] = Agent(OpenAIChatModel("m", provider=door), **options)

    @made.tool_plain
    def look(at: int) -> Seen:
        if at < 0:
            raise ModelRetry("at must not be negative")
        return Seen(at=at)

    try:
        yield made
    finally:
        await door.client.close()


def run(provider: FakeProvider, source: Callable[[Agent[None, Any]], Any], **options: Any) -> Drained:
    async def test() -> Drained:
        async with agent(provider, **options) as made:
            return await drain(source(made))

    return asyncio.run(test())


def awaited(made: Agent[None, Any]) -> Awaitable[Any]:
    return made.run("hi")


@pytest.mark.parametrize(
    "source",
    [
        lambda made: made.run_stream_events("hi"),
        lambda made: made.iter("hi"),
    ],
    ids=["run_stream_events", "iter"],
)
def test_a_run_gives_thinking_text_calls_results_and_usage(provider: FakeProvider, source: Any) -> None:
    provider.script(CALL, ANSWER)
    found = run(provider, source)
    assert found.parts == WHOLE
    assert found.usage == COUNTED
    assert found.finish_reason == "stop"


def test_run_stream_tells_the_steps_before_its_result(provider: FakeProvider) -> None:
    provider.script([piece for piece in CALL if "content" not in piece], ANSWER)
    found = run(provider, lambda made: made.run_stream("hi"))
    assert found.parts == [part for part in WHOLE if part != text("I look it up.")]
    assert [chunk["delta"] for chunk in found.chunks if chunk["type"] == "text-delta"] == ["Found ", "it."]
    assert found.usage == COUNTED
    assert found.finish_reason == "stop"


def test_run_stream_takes_the_first_text_for_its_result_and_tells_the_calls_with_it(provider: FakeProvider) -> None:
    provider.script(CALL)
    found = run(provider, lambda made: made.run_stream("hi"))
    assert found.parts[:3] == WHOLE[:3]
    assert found.parts[3]["state"] == "output-available"


def test_events_stream_as_they_come(provider: FakeProvider) -> None:
    provider.script(CALL, ANSWER)
    found = run(provider, lambda made: made.run_stream_events("hi"))
    deltas = [chunk["inputTextDelta"] for chunk in found.chunks if chunk["type"] == "tool-input-delta"]
    assert deltas == ['{"at":', " 1}"]
    assert [chunk["delta"] for chunk in found.chunks if chunk["type"] == "text-delta"][-2:] == ["Found ", "it."]


def test_a_finished_run_is_told_whole(provider: FakeProvider) -> None:
    body = {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}],
        "usage": USAGE,
    }
    provider.script([{"http": 200, "body": body}])
    found = run(provider, awaited)
    assert found.parts == [step(), text("Hi.")]
    assert found.usage == [{"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}]


def test_a_tool_that_wants_another_try_fails_its_call_and_the_run_goes_on(provider: FakeProvider) -> None:
    bad: list[dict[str, Any]] = [
        {"tool": [{"index": 0, "id": "c0", "name": "look", "args": '{"at": -1}'}]},
        {"finish": "tool_calls"},
    ]
    provider.script(bad, CALL, ANSWER)
    found = run(provider, lambda made: made.run_stream_events("hi"))
    failed = found.parts[1]
    assert (failed["toolCallId"], failed["state"]) == ("c0", "output-error")
    assert "at must not be negative" in failed["errorText"]
    assert found.parts[2:] == WHOLE


def test_a_structured_result_is_the_call_of_its_output_tool(provider: FakeProvider) -> None:
    class City(BaseModel):
        name: str

    final = {"index": 0, "id": "c9", "name": "final_result", "args": '{"name": "Rome"}'}
    provider.script([{"tool": [final]}, {"finish": "tool_calls"}])
    found = run(provider, lambda made: made.run_stream_events("hi"), output_type=City)
    done = found.parts[1]
    assert (done["type"], done["state"], done["input"]) == ("tool-final_result", "output-available", {"name": "Rome"})


def test_a_tool_that_needs_approval_asks_and_goes_on_in_the_next_turn(provider: FakeProvider) -> None:
    wanted: list[dict[str, Any]] = [
        {"tool": [{"index": 0, "id": "c1", "name": "pay", "args": '{"sum": 3}'}]},
        {"finish": "tool_calls"},
    ]
    provider.script(wanted, ANSWER)
    history: list[Any] = []

    def with_pay(made: Agent[None, Any]) -> Agent[None, Any]:
        @made.tool_plain(requires_approval=True)
        def pay(sum: int) -> str:
            return f"paid {sum}"

        return made

    async def test() -> tuple[Drained, Drained]:
        async with agent(provider, output_type=[str, DeferredToolRequests]) as made:
            with_pay(made)
            async with made.iter("hi") as first:
                asked = await drain(first)
                assert first.result is not None
                history.extend(first.result.all_messages())
            granted = DeferredToolResults(approvals={"c1": True})
            again = made.run_stream_events(message_history=history, deferred_tool_results=granted)
            return asked, await drain_after(asked, again)

    async def drain_after(before: Drained, source: Any) -> Drained:
        found = Drained(fold=before.fold)
        await drain_into(found, source, waiting_calls=["c1"])
        return found

    asked, answered = asyncio.run(test())
    assert asked.types[-3:-1] == ["tool-approval-request", "finish-step"]
    assert answered.types.count("tool-input-available") == 0
    pay = answered.parts[1]
    assert (pay["state"], pay["output"], pay["input"]) == ("output-available", "paid 3", {"sum": 3})
    assert answered.parts[-1] == text("Found it.")


def test_a_stop_ends_the_run_and_its_request(provider: FakeProvider) -> None:
    provider.script([{"content": "one"}, {"hang": True}])

    async def test() -> None:
        found = Drained()
        async with agent(provider) as made:
            task = asyncio.create_task(drain_into(found, made.run_stream_events("hi")))
            async with asyncio.timeout(10):
                while "text-delta" not in found.types:
                    await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(task, 10)
            assert await asyncio.to_thread(provider.closed_early.wait, 10)

    asyncio.run(test())


def test_an_error_of_the_provider_is_raised(provider: FakeProvider) -> None:
    provider.script([{"http": 400, "body": {"error": {"message": "no such model"}}}])
    with pytest.raises(Exception, match="no such model"):
        run(provider, lambda made: made.run_stream_events("hi"))
