"""OpenAI's and litellm's own streams, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest

from chatagent.agent.source import SourceFailed
from chatagent.llm import provider as litellm_door
from tests.agent.drain import Drained, call, drain, drain_into, reasoning, step, text
from tests.provider import LITELLM_WARNINGS, FakeProvider

pytestmark = pytest.mark.filterwarnings(*LITELLM_WARNINGS)

ASK: list[Any] = [{"role": "user", "content": "hi"}]
WITH_USAGE: dict[str, Any] = {"stream_options": {"include_usage": True}}
USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "total_tokens": 15,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
#: Reasoning, text and two calls at once, as a provider interleaves them.
TALK: list[dict[str, Any]] = [
    {"reasoning": "Let me "},
    {"reasoning": "see."},
    {"content": "I look "},
    {"content": "it up."},
    {"tool": [{"index": 0, "id": "c1", "name": "look", "args": ""}]},
    {"tool": [{"index": 0, "args": '{"at":'}, {"index": 1, "id": "c2", "name": "find", "args": '{"x"'}]},
    {"tool": [{"index": 0, "args": " 1}"}, {"index": 1, "args": ": 2}"}]},
    {"finish": "tool_calls"},
    {"usage": USAGE},
]
TALKED = [
    step(),
    reasoning("Let me see."),
    text("I look it up."),
    call("look", "c1", {"at": 1}),
    call("find", "c2", {"x": 2}),
]
COUNTED = [
    {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15, "reasoningTokens": 2, "cachedInputTokens": 4},
]


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with FakeProvider() as running:
        yield running


def client(provider: FakeProvider) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=provider.url, api_key="x", max_retries=0)


def ask(provider: FakeProvider, *answers: list[dict[str, Any]], **options: Any) -> Drained:
    """What a stream of chat completions gives."""
    provider.script(*answers)

    async def test() -> Drained:
        async with client(provider) as opened:
            return await drain(opened.chat.completions.create(model="m", messages=ASK, stream=True, **WITH_USAGE))

    return asyncio.run(test())


def test_a_completion_stream_gives_reasoning_text_calls_and_usage(provider: FakeProvider) -> None:
    found = ask(provider, TALK)
    assert found.parts == TALKED
    assert found.usage == COUNTED
    assert found.finish_reason == "tool-calls"
    deltas = [chunk["inputTextDelta"] for chunk in found.chunks if chunk["type"] == "tool-input-delta"]
    assert "".join(deltas) == '{"at":{"x" 1}: 2}'


def test_a_blocking_completion_stream_gives_the_same(provider: FakeProvider) -> None:
    provider.script(TALK)
    with openai.OpenAI(base_url=provider.url, api_key="x") as opened:
        stream = opened.chat.completions.create(model="m", messages=ASK, stream=True, **WITH_USAGE)
        assert asyncio.run(drain(stream)).parts == TALKED


def test_the_helper_stream_of_the_openai_package_gives_the_same(provider: FakeProvider) -> None:
    provider.script(TALK)

    async def test() -> Drained:
        async with client(provider) as opened:
            return await drain(opened.chat.completions.stream(model="m", messages=ASK, **WITH_USAGE))

    found = asyncio.run(test())
    assert found.parts == TALKED
    assert found.usage == COUNTED


def test_a_litellm_stream_gives_the_same(provider: FakeProvider) -> None:
    provider.script(TALK)

    async def test() -> Drained:
        litellm = litellm_door.load()
        try:
            asked = litellm.acompletion(
                model="openai/m", messages=ASK, api_base=provider.url, api_key="x", stream=True, **WITH_USAGE
            )
            return await drain(asked)
        finally:
            await litellm_door.close_clients()

    found = asyncio.run(test())
    assert found.parts == TALKED
    assert found.usage == COUNTED
    assert found.finish_reason == "tool-calls"


def test_a_whole_completion_is_one_step(provider: FakeProvider) -> None:
    function = {"name": "look", "arguments": '{"at": 1}'}
    message = {
        "role": "assistant",
        "content": "I look.",
        "tool_calls": [{"id": "c1", "type": "function", "function": function}],
    }
    whole = {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": USAGE,
    }
    provider.script([{"http": 200, "body": whole}])

    async def test() -> Drained:
        async with client(provider) as opened:
            return await drain(opened.chat.completions.create(model="m", messages=ASK))

    found = asyncio.run(test())
    assert found.parts == [step(), text("I look."), call("look", "c1", {"at": 1})]
    assert found.usage == COUNTED


def test_a_refusal_is_told_and_ends_the_answer_as_filtered(provider: FakeProvider) -> None:
    piece = {"index": 0, "delta": {"role": "assistant", "refusal": "I will not."}, "finish_reason": None}
    chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [piece]}
    found = ask(provider, [chunk, {"finish": "stop"}])
    assert found.parts == [step(), text("I will not.")]
    assert found.finish_reason == "content-filter"


@pytest.mark.parametrize(
    ("reason", "told"), [("stop", "stop"), ("length", "length"), ("content_filter", "content-filter"), ("odd", "other")]
)
def test_the_finish_reason_is_the_streams(provider: FakeProvider, reason: str, told: str) -> None:
    assert ask(provider, [{"content": "x"}, {"finish": reason}]).finish_reason == told


def test_arguments_that_are_no_json_fail_their_call_alone(provider: FakeProvider) -> None:
    bad = {"tool": [{"index": 0, "id": "c1", "name": "look", "args": "{oops"}]}
    found = ask(provider, [bad, {"content": "still"}, {"finish": "tool_calls"}])
    failed = next(part for part in found.parts if part["type"] == "tool-look")
    assert failed["state"] == "output-error"
    assert "no JSON" in failed["errorText"]


def test_calls_that_are_all_numbered_0_stay_apart(provider: FakeProvider) -> None:
    calls = [{"tool": [{"index": 0, "id": f"c{at}", "name": "look", "args": f'{{"at": {at}}}'}]} for at in (1, 2)]
    found = ask(provider, [*calls, {"finish": "tool_calls"}])
    assert found.parts == [step(), call("look", "c1", {"at": 1}), call("look", "c2", {"at": 2})]


def test_a_loop_of_the_authors_own_makes_steps(provider: FakeProvider) -> None:
    provider.script(TALK, [{"content": "Found "}, {"content": "it."}, {"finish": "stop"}, {"usage": USAGE}])

    async def loop() -> AsyncIterator[Any]:
        async with client(provider) as opened:
            stream = await opened.chat.completions.create(model="m", messages=ASK, stream=True, **WITH_USAGE)
            async for chunk in stream:
                yield chunk
            for call_id in ("c1", "c2"):
                yield {"type": "tool-output-available", "toolCallId": call_id, "output": "seen"}
            stream = await opened.chat.completions.create(model="m", messages=ASK, stream=True, **WITH_USAGE)
            async for chunk in stream:
                yield chunk

    found = asyncio.run(drain(loop()))
    seen = [{**part, "state": "output-available", "output": "seen"} for part in TALKED[3:]]
    assert found.parts == [*TALKED[:3], *seen, step(), text("Found it.")]
    assert found.usage == COUNTED * 2
    assert found.finish_reason == "stop"


def test_a_stop_closes_the_connection_to_the_provider(provider: FakeProvider) -> None:
    provider.script([{"content": "one"}, {"hang": True}])

    async def test() -> None:
        found = Drained()
        async with client(provider) as opened:
            stream = opened.chat.completions.create(model="m", messages=ASK, stream=True)
            task = asyncio.create_task(drain_into(found, stream))
            async with asyncio.timeout(10):
                while "text-delta" not in found.types:
                    await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(provider.closed_early.wait, 10)

    asyncio.run(test())


def test_an_error_inside_the_stream_is_raised(provider: FakeProvider) -> None:
    with pytest.raises(openai.APIError, match="overloaded"):
        ask(provider, [{"content": "x"}, {"error": {"message": "overloaded", "type": "server_error"}}])


# -- the Responses API ----------------------------------------------------------------------------------------------


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "object": "event", "sequence_number": 0, **fields}


def response(status: str = "completed", **fields: Any) -> dict[str, Any]:
    usage = {
        "input_tokens": 10,
        "output_tokens": 5,
        "total_tokens": 15,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 2},
    }
    base = {"id": "r", "object": "response", "created_at": 1, "model": "m", "output": [], "status": status}
    return {**base, "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": usage, **fields}


def respond(provider: FakeProvider, *events: dict[str, Any]) -> Drained:
    """What a stream of the Responses API gives."""
    provider.script([event("response.created", response=response("in_progress", usage=None)), *events])

    async def test() -> Drained:
        async with client(provider) as opened:
            return await drain(opened.responses.create(model="m", input="hi", stream=True))

    return asyncio.run(test())


def function_call(arguments: str = "") -> dict[str, Any]:
    return {"type": "function_call", "id": "fc", "call_id": "c1", "name": "look", "arguments": arguments}


def item(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    return event(f"response.output_item.{kind}", output_index=0, item=given)


def said(words: str) -> dict[str, Any]:
    place = {"item_id": "m1", "output_index": 0, "content_index": 0, "logprobs": []}
    return event("response.output_text.delta", delta=words, **place)


def test_a_response_stream_gives_reasoning_text_sources_calls_and_usage(provider: FakeProvider) -> None:
    summary = {"item_id": "rs", "output_index": 0, "summary_index": 0}
    citation = {"type": "url_citation", "url": "https://x.test/", "title": "X", "start_index": 0, "end_index": 1}
    place = {"item_id": "m1", "output_index": 0, "content_index": 0, "annotation_index": 0}
    found = respond(
        provider,
        event("response.reasoning_summary_text.delta", delta="Let me ", **summary),
        event("response.reasoning_summary_text.delta", delta="see.", **summary),
        said("I look "),
        said("it up."),
        event("response.output_text.annotation.added", annotation=citation, **place),
        item("added", function_call()),
        event("response.function_call_arguments.delta", delta='{"at":', item_id="fc", output_index=1),
        event("response.function_call_arguments.delta", delta=" 1}", item_id="fc", output_index=1),
        item("done", function_call('{"at": 1}')),
        event("response.completed", response=response()),
    )
    source = found.parts.pop(3)
    assert (source["type"], source["url"], source["title"]) == ("source-url", "https://x.test/", "X")
    assert found.parts[0:1] + [part for part in found.parts if part["type"] != "source-url"][1:] == [
        step(),
        reasoning("Let me see."),
        text("I look it up."),
        call("look", "c1", {"at": 1}),
    ]
    assert found.types.count("tool-input-delta") == 2
    assert found.usage == COUNTED
    assert found.finish_reason == "tool-calls"


def test_a_call_that_comes_whole_is_shown(provider: FakeProvider) -> None:
    found = respond(
        provider, item("done", function_call('{"at": 1}')), event("response.completed", response=response())
    )
    assert found.parts == [step(), call("look", "c1", {"at": 1})]


def test_a_tool_of_the_provider_is_a_call_that_it_has_executed(provider: FakeProvider) -> None:
    begun = {"type": "web_search_call", "id": "ws", "status": "in_progress", "action": {"type": "search", "query": ""}}
    done = {**begun, "status": "completed", "action": {"type": "search", "query": "chat"}}
    found = respond(
        provider,
        item("added", begun),
        item("done", done),
        said("Found."),
        event("response.completed", response=response()),
    )
    search, answer = found.parts[1:]
    assert found.parts[0] == step()
    assert (search["type"], search["toolName"], search["state"]) == ("dynamic-tool", "web_search", "output-available")
    assert search["providerExecuted"] is True
    assert search["input"] == {"action": {"type": "search", "query": "chat"}}
    assert answer == text("Found.")
    assert found.finish_reason == "stop"


def test_a_refused_and_a_cut_off_response_say_so(provider: FakeProvider) -> None:
    place = {"item_id": "m1", "output_index": 0, "content_index": 0}
    refused = event("response.refusal.delta", delta="I will not.", **place)
    found = respond(provider, refused, event("response.completed", response=response()))
    assert (found.parts, found.finish_reason) == ([step(), text("I will not.")], "content-filter")
    cut = response("incomplete", incomplete_details={"reason": "max_output_tokens"})
    found = respond(provider, said("So"), event("response.incomplete", response=cut))
    assert (found.parts, found.finish_reason) == ([step(), text("So")], "length")


@pytest.mark.parametrize(
    "last",
    [
        event("response.failed", response=response("failed", error={"code": "server_error", "message": "overloaded"})),
        event("error", code="server_error", message="overloaded", param=None),
    ],
    ids=lambda last: str(last["type"]),
)
def test_a_response_that_fails_is_the_error(provider: FakeProvider, last: dict[str, Any]) -> None:
    with pytest.raises((SourceFailed, openai.APIError), match="overloaded"):
        respond(provider, said("So"), last)


def test_events_that_nobody_shows_are_passed_over(provider: FakeProvider) -> None:
    found = respond(
        provider,
        event("response.in_progress", response=response("in_progress", usage=None)),
        event("response.web_search_call.searching", item_id="ws", output_index=0),
        said("Hi"),
        event("response.completed", response=response()),
    )
    assert found.parts == [step(), text("Hi")]
    assert json.dumps(found.chunks)
