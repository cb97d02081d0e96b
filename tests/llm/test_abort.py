"""Stopping an answer: the provider's connection is closed, tools are cancelled, what was written stays."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

import pytest

from chatagent.llm import ModelContext, abort_signal, tool
from chatagent.signal import AbortController
from tests.llm.model import DEADLINE_S, DONE, Chunk, Model, call, calling, kinds, of_kind, read
from tests.provider import ScriptStep

HANGING: list[list[ScriptStep]] = [
    [{"hang": True}],
    [{"content": "par"}, {"hang": True}],
    [{"reasoning": "hm"}, {"hang": True}],
    [{"tool": [{"index": 0, "id": "c1", "name": "w", "args": "{"}]}, {"hang": True}],
]


async def arrived(model: Model) -> None:
    """A request is at the provider."""
    assert await asyncio.to_thread(model.provider.arrived.wait, DEADLINE_S)


@pytest.mark.parametrize("script", HANGING, ids=["silent", "text", "reasoning", "arguments"])
def test_a_stop_closes_the_connection_to_the_provider(model: Model, script: list[ScriptStep]) -> None:
    async def stop_after_arrival() -> list[Chunk]:
        controller = AbortController()
        result = model.stream(script, context=ModelContext(signal=controller.signal))
        seen = asyncio.Event()
        last = "start" if len(script) == 1 else "-delta"
        reading = asyncio.create_task(read(result, lambda chunk: seen.set() if chunk["type"].endswith(last) else None))
        await arrived(model)
        async with asyncio.timeout(DEADLINE_S):
            await seen.wait()
        controller.abort("user stop")
        return await reading

    chunks = model.run(stop_after_arrival())
    assert chunks[-1] == {"type": "abort", "reason": "user stop"}
    assert model.run(asyncio.to_thread(model.provider.requests[0].closed_early.wait, DEADLINE_S))
    assert not model.provider.requests[0].answered.is_set()


def test_nobody_is_asked_when_the_signal_was_aborted_before(model: Model) -> None:
    controller = AbortController()
    controller.abort("too late")
    chunks = model.ask(DONE, context=ModelContext(signal=controller.signal))
    assert chunks == [{"type": "start"}, {"type": "abort", "reason": "too late"}]
    assert model.provider.requests == []


def test_a_stop_cancels_running_tools_and_their_results_are_dropped(model: Model) -> None:
    controller = AbortController()
    cleaned_up = asyncio.Event()

    @tool
    async def slow() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cleaned_up.set()
            raise
        return "never"

    @tool
    async def stubborn() -> str:
        controller.abort("user stop")
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "too late"

    calls = calling(call("slow"), call("stubborn", call_id="c2", index=1))
    context = ModelContext(signal=controller.signal)
    chunks = model.ask(calls, tools=[slow, stubborn], context=context)
    assert cleaned_up.is_set()
    assert kinds(chunks)[-3:] == ["tool-input-available", "tool-input-available", "abort"]
    assert len(model.provider.requests) == 1


def test_a_blocking_tool_can_see_the_stop(model: Model) -> None:
    controller = AbortController()
    started, saw_it = threading.Event(), threading.Event()

    @tool
    def work() -> None:
        signal = abort_signal()
        assert signal is not None
        started.set()
        while not signal.aborted:
            threading.Event().wait(0.005)
        saw_it.set()

    async def stop_at_work() -> list[Chunk]:
        result = model.stream(calling(call("work")), tools=[work], context=ModelContext(signal=controller.signal))
        reading = asyncio.create_task(read(result))
        await asyncio.to_thread(started.wait, DEADLINE_S)
        controller.abort()
        return await reading

    chunks = model.run(stop_at_work())
    assert chunks[-1]["type"] == "abort"
    assert saw_it.wait(DEADLINE_S)


def test_a_stop_between_steps_prevents_the_next_one(model: Model) -> None:
    @tool
    async def quick() -> str:
        controller.abort("enough")
        return "done"

    controller = AbortController()
    chunks = model.ask(calling(call("quick")), DONE, tools=[quick], context=ModelContext(signal=controller.signal))
    assert chunks[-1] == {"type": "abort", "reason": "enough"}
    assert len(model.provider.requests) == 1


def test_the_text_of_a_stopped_answer_is_what_there_was(model: Model) -> None:
    async def partial() -> tuple[str, str | None, bool]:
        controller = AbortController()
        result = model.stream([{"content": "par"}, {"hang": True}], signal=controller.signal)
        await read(result, lambda chunk: controller.abort() if chunk["type"] == "text-delta" else None)
        return await result.text, await result.finish_reason, await result.aborted

    assert model.run(partial()) == ("par", None, True)


def test_a_reader_that_leaves_ends_the_answer(model: Model) -> None:
    async def leave() -> None:
        stream = model.stream([{"content": "par"}, {"hang": True}]).to_ui_message_stream()
        async for chunk in stream:
            if chunk["type"] == "text-delta":
                break
        await stream.aclose()

    model.run(leave())
    assert model.run(asyncio.to_thread(model.provider.requests[0].closed_early.wait, DEADLINE_S))


def test_a_reader_that_is_cancelled_ends_the_answer(model: Model) -> None:
    async def cancel() -> bool:
        reading = asyncio.create_task(read(model.stream([{"content": "par"}, {"hang": True}])))
        await arrived(model)
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
        return await asyncio.to_thread(model.provider.requests[0].closed_early.wait, DEADLINE_S)

    assert model.run(cancel())


def test_one_of_two_readers_may_leave(model: Model) -> None:
    async def leave() -> list[Chunk]:
        result = model.stream([{"content": "a"}, {"sleep": 20}, {"content": "b"}, {"finish": "stop"}])
        staying = asyncio.create_task(read(result))
        async for chunk in result:
            if chunk["type"] == "text-delta":
                break
        return await staying

    chunks = model.run(leave())
    assert [chunk["delta"] for chunk in of_kind(chunks, "text-delta")] == ["a", "b"]


def test_a_tool_that_is_cancelled_from_inside_has_failed(model: Model) -> None:
    @tool
    async def inner() -> None:
        raise asyncio.CancelledError("the inner task was cancelled")

    chunks = model.ask(calling(call("inner")), DONE, tools=[inner])
    assert of_kind(chunks, "tool-output-error")
    assert kinds(chunks)[-1] == "finish"
