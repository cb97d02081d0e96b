"""An answer inside a tool: it grows in the tool's card, and its states cost no more than they may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest

from chatagent.errors import ConfigError
from chatagent.llm import (
    ModelContext,
    SubAgentFailed,
    current_call,
    current_tool_options,
    last_text,
    stream_text,
    stream_to_tool_output,
    tool,
    tool_call_id,
)
from chatagent.signal import AbortController
from chatagent.ui import encode
from tests.llm.model import DONE, QUESTION, Model, call, calling, kinds, of_kind, read

Chunk = dict[str, Any]


async def story(words: int, pause_s: float = 0.0) -> AsyncIterator[Chunk]:
    yield {"type": "start", "messageId": "m"}
    yield {"type": "start-step"}
    yield {"type": "text-start", "id": "t"}
    for _ in range(words):
        await asyncio.sleep(pause_s)
        yield {"type": "text-delta", "id": "t", "delta": "word "}
    yield {"type": "text-end", "id": "t"}
    yield {"type": "finish-step"}


async def states(source: Any, **options: Any) -> list[Chunk]:
    return [each async for each in stream_to_tool_output(source, **options)]


def test_the_last_state_is_the_whole_message_and_every_state_a_beginning_of_it() -> None:
    found = asyncio.run(states(story(50, 0.001), interval_s=0.005))
    assert len(found) > 2
    assert found[-1]["parts"] == [
        {"type": "step-start"},
        {"type": "text", "text": "word " * 50, "state": "done"},
    ]
    texts = [last_text(each) for each in found]
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
    assert {each["id"] for each in found[1:]} == {"m"}


def test_states_cost_no_more_than_their_rate_and_the_last_two() -> None:
    async def timed() -> tuple[list[Chunk], float]:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        found = await states(story(400, 0.001), interval_s=0.0, bytes_per_s=10_000)
        return found, loop.time() - begun

    found, took_s = asyncio.run(timed())
    sizes = [len(encode(each)) for each in found]
    assert sum(sizes[:-2]) <= 10_000 * took_s
    assert len(found) > 2


def test_what_came_just_before_a_pause_is_shown_in_the_pause() -> None:
    async def stalled() -> None:
        more = asyncio.Event()

        async def source() -> AsyncIterator[Chunk]:
            yield {"type": "text-start", "id": "t"}
            await asyncio.sleep(0)
            yield {"type": "text-delta", "id": "t", "delta": "a"}
            await more.wait()

        async with asyncio.timeout(5):
            async for state in stream_to_tool_output(source(), interval_s=0.01):
                if last_text(state) == "a":
                    more.set()

    asyncio.run(stalled())


def test_a_failure_comes_after_what_there_was() -> None:
    async def source() -> AsyncIterator[Chunk]:
        yield {"type": "text-start", "id": "t"}
        yield {"type": "text-delta", "id": "t", "delta": "half"}
        yield {"type": "error", "errorText": "broke"}

    async def run() -> list[str]:
        seen: list[str] = []
        with pytest.raises(SubAgentFailed, match="broke"):
            async for state in stream_to_tool_output(source()):
                seen.append(last_text(state))
        return seen

    assert asyncio.run(run())[-1] == "half"


def test_something_that_is_no_chunk_is_refused() -> None:
    async def source() -> AsyncIterator[Any]:
        yield "word"

    with pytest.raises(ConfigError, match="UI message chunks"):
        asyncio.run(states(source()))


def test_leaving_early_ends_the_source() -> None:
    ended: list[bool] = []

    async def source() -> AsyncIterator[Chunk]:
        try:
            yield {"type": "text-start", "id": "t"}
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def leave() -> None:
        growing = stream_to_tool_output(source())
        await anext(growing)
        await growing.aclose()

    asyncio.run(leave())
    assert ended == [True]


def test_the_last_text_is_that_of_the_last_step_which_has_one() -> None:
    def text(said: str) -> Chunk:
        return {"type": "text", "text": said}

    step, used = {"type": "step-start"}, {"type": "tool-x", "state": "output-available"}
    assert last_text({"parts": [step, text("one"), used, step, text("a"), text("b")]}) == "ab"
    assert last_text({"parts": [step, text("one"), step, used]}) == "one"
    assert last_text({"parts": []}) == last_text(None) == ""
    assert last_text("plain") == "plain"


def test_a_sub_agent_streams_inside_its_card_and_ends_as_text_for_the_parent(model: Model) -> None:
    @tool
    async def lookup(word: str) -> str:
        """Look a word up."""
        return word.upper()

    @tool(to_model_output=last_text)
    async def research(topic: str) -> AsyncIterator[Chunk]:
        """Find something out."""
        options: dict[str, Any] = {"api_base": model.provider.url, "api_key": "k", "tools": [lookup]}
        inner = stream_text("openai/fake", [{"role": "user", "content": topic}], **options)
        return stream_to_tool_output(inner, interval_s=0.01)

    used: list[Any] = []
    result = model.stream(
        calling(call("research", '{"topic":"sea"}')),
        calling(call("lookup", '{"word":"sea"}', call_id="c2")),
        [{"content": "It "}, {"sleep": 60}, {"content": "is wet."}, {"finish": "stop"}],
        DONE,
        tools=[research],
        context=ModelContext(on_usage=used.append),
    )
    outputs = of_kind(model.run(read(result)), "tool-output-available")
    assert all(each["toolCallId"] == "c1" for each in outputs)
    assert [each.get("preliminary", False) for each in outputs] == [True] * (len(outputs) - 1) + [False]
    assert len(outputs) > 2
    shown = outputs[-1]["output"]["parts"]
    assert [part["type"] for part in shown] == ["step-start", "tool-lookup", "step-start", "text"]
    assert shown[1]["output"] == "SEA"
    assert model.told[-1][-1] == {"role": "tool", "tool_call_id": "c1", "content": "It is wet."}


def test_a_stop_ends_the_sub_agent_too(model: Model) -> None:
    controller = AbortController()

    @tool
    async def research() -> AsyncIterator[Chunk]:
        """Find something out."""
        inner = stream_text("openai/fake", QUESTION, api_base=model.provider.url, api_key="k")
        return stream_to_tool_output(inner, interval_s=0.01)

    async def stopped() -> list[Chunk]:
        result = model.stream(
            calling(call("research")),
            [{"content": "half"}, {"hang": True}],
            tools=[research],
            context=ModelContext(signal=controller.signal),
        )
        seen: list[Chunk] = []
        async for chunk in result:
            seen.append(chunk)
            if chunk["type"] == "tool-output-available" and last_text(chunk["output"]) == "half":
                controller.abort()
        return seen

    assert kinds(model.run(stopped()))[-1] == "abort"
    assert model.provider.closed_early.wait(30)


def test_a_tool_knows_its_call(model: Model) -> None:
    found: list[Any] = []
    controller = AbortController()

    @tool
    def plain(a: int) -> int:
        """In a thread."""
        found.append((tool_call_id(), current_tool_options(), current_call.get()))
        return a

    model.ask(
        calling(call("plain", '{"a":1}', call_id="c7")),
        DONE,
        tools=[plain],
        system="You help.",
        context=ModelContext(signal=controller.signal),
    )
    call_id, options, running = found[0]
    assert call_id == options.tool_call_id == running.id == "c7"
    assert (options.tool_name, options.input) == ("plain", {"a": 1})
    assert list(options.messages) == QUESTION
    assert options.signal is controller.signal
    assert tool_call_id() is None
    assert current_tool_options() is None
