from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from chatagent.agent.source import chunks_of
from chatagent.errors import ConfigError
from tests.agent.drain import Drained, call, drain, drain_into, drained, step, text


async def words() -> AsyncIterator[str]:
    for word in ("a ", "b ", "c"):
        yield word


def plain_words() -> Iterator[str]:
    yield from ("a ", "b ", "c")


@asynccontextmanager
async def opened_words() -> AsyncIterator[AsyncIterator[str]]:
    yield words()


async def later() -> AsyncIterator[str]:
    return words()


@pytest.mark.parametrize(
    "make",
    [lambda: "a b c", words, plain_words, opened_words, later, lambda: ["a ", "b ", "c"], lambda: ("a ", "b ", "c")],
    ids=["str", "async generator", "generator", "context manager", "awaitable", "list", "tuple"],
)
def test_text_of_any_shape_is_one_part_of_one_step(make: Any) -> None:
    async def test() -> Drained:
        return await drain(make())

    found = asyncio.run(test())
    assert found.parts == [step(), text("a b c")]
    assert found.types[0] == "start-step"
    assert found.types[-1] == "finish-step"


def test_nothing_gives_nothing() -> None:
    assert drained(None).chunks == []
    assert drained([]).chunks == []
    assert drained("").chunks == []


def test_data_goes_between_words_and_other_chunks_close_the_text() -> None:
    async def source() -> AsyncIterator[str | dict[str, Any]]:
        yield "one "
        yield {"type": "data-note", "data": 1}
        yield "two"
        yield {"type": "file", "url": "data:,x", "mediaType": "text/plain"}
        yield "three"

    file = {"type": "file", "url": "data:,x", "mediaType": "text/plain"}
    found = drained(source())
    assert found.parts == [step(), text("one two"), {"type": "data-note", "data": 1}, file, text("three")]


def test_what_follows_the_output_of_a_tool_is_another_step() -> None:
    async def source() -> AsyncIterator[str | dict[str, Any]]:
        yield "Let me look. "
        yield {"type": "tool-input-available", "toolCallId": "c1", "toolName": "look", "input": {"at": 1}}
        yield {"type": "tool-output-available", "toolCallId": "c1", "output": "seen"}
        yield "Done."

    found = drained(source())
    assert found.parts == [step(), text("Let me look. "), call("look", "c1", {"at": 1}, "seen"), step(), text("Done.")]


def test_steps_of_the_authors_own_are_not_doubled() -> None:
    found = drained([{"type": "start-step"}, "one", {"type": "finish-step"}, {"type": "start-step"}, "two"])
    assert found.parts == [step(), text("one"), step(), text("two")]


def test_a_message_that_grows_is_written_once() -> None:
    asked = {"type": "tool-look", "toolCallId": "c", "state": "input-available", "input": 1}
    seen = {**asked, "state": "output-available", "output": 2}
    done = {"type": "text", "text": "Hi you", "state": "done"}
    grown: list[list[dict[str, Any]]] = [
        [],
        [step()],
        [step(), {"type": "text", "text": "Hi", "state": "streaming"}],
        [step(), {"type": "text", "text": "Hi you", "state": "streaming"}],
        [step(), done, asked],
        [step(), done, seen, step(), {"type": "data-n", "id": "d", "data": 1}],
        [step(), done, seen, step(), {"type": "data-n", "id": "d", "data": 2}, {"type": "text", "text": "x"}],
    ]

    async def snapshots() -> AsyncIterator[dict[str, Any]]:
        for parts in grown:
            yield {"id": "m1", "role": "assistant", "parts": parts}

    found = drained(snapshots())
    assert found.types.count("text-start") == 2
    assert found.types.count("tool-input-available") == 1
    assert found.parts == [step(), text("Hi you"), seen, step(), {"type": "data-n", "id": "d", "data": 2}, text("x")]


def test_two_messages_follow_each_other() -> None:
    one = {"id": "1", "role": "assistant", "parts": [step(), {"type": "text", "text": "one", "state": "done"}]}
    two = {"id": "2", "role": "assistant", "parts": [step(), {"type": "text", "text": "two", "state": "done"}]}
    assert drained([one, two]).parts == [step(), text("one"), step(), text("two")]


@pytest.mark.parametrize("source", [3, object(), [3], [b"x"], [object()], [{"text": "hi"}], [{}]])
def test_what_cannot_be_streamed_is_refused_with_what_can(source: Any) -> None:
    with pytest.raises(ConfigError, match="str"):
        drained(source)


def test_an_error_of_the_source_is_raised_after_what_it_gave() -> None:
    async def source() -> AsyncIterator[str]:
        yield "so far"
        raise RuntimeError("no more")

    found = Drained()
    with pytest.raises(RuntimeError, match="no more"):
        asyncio.run(drain_into(found, source()))
    assert found.types == ["start-step", "text-start", "text-delta"]


async def _stop_at_first_delta(source: Any, blocked: threading.Event | None = None) -> None:
    """Cancel the task that drains, as a stop does."""
    begun = asyncio.Event()

    async def pump() -> None:
        async with aclosing(chunks_of(source)) as chunks:
            async for chunk in chunks:
                if chunk["type"] == "text-delta":
                    begun.set()

    task = asyncio.create_task(pump())
    await asyncio.wait_for(begun.wait(), 10)
    if blocked is not None:
        assert await asyncio.to_thread(blocked.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)


def test_a_stop_closes_an_async_source_at_once() -> None:
    closed: list[str] = []

    @asynccontextmanager
    async def source() -> AsyncIterator[AsyncIterator[str]]:
        async def endless() -> AsyncIterator[str]:
            try:
                yield "one"
                await asyncio.Event().wait()
            finally:
                closed.append("generator")

        try:
            yield endless()
        finally:
            closed.append("context")

    asyncio.run(_stop_at_first_delta(source()))
    assert closed == ["generator", "context"]


def test_a_stop_closes_a_blocking_source_without_waiting_for_it() -> None:
    blocked, go_on, closed = threading.Event(), threading.Event(), threading.Event()

    def blocking() -> Iterator[str]:
        try:
            yield "one"
            blocked.set()
            go_on.wait(30)
            yield "two"
        finally:
            closed.set()

    async def test() -> None:
        await _stop_at_first_delta(blocking(), blocked)
        assert not closed.is_set()
        go_on.set()

    asyncio.run(test())
    assert closed.wait(10)


def test_a_source_with_a_close_is_closed() -> None:
    class Stream:
        closed = False

        def __aiter__(self) -> AsyncIterator[str]:
            return words()

        async def close(self) -> None:
            self.closed = True

    stream = Stream()
    assert drained(stream).parts == [step(), text("a b c")]
    assert stream.closed


def test_a_blocking_source_sees_the_context_of_the_turn() -> None:
    who: ContextVar[str] = ContextVar("who", default="nobody")

    def source() -> Iterator[str]:
        yield who.get()

    async def test() -> Drained:
        who.set("ada")
        return await drain(source())

    assert asyncio.run(test()).parts == [step(), text("ada")]


def test_outputs_of_earlier_calls_are_written_without_showing_the_call_again() -> None:
    source = [{"type": "tool-output-available", "toolCallId": "c1", "output": 1}]

    async def test() -> list[dict[str, Any]]:
        return [chunk async for chunk in chunks_of(source, waiting_calls=["c1"])]

    assert asyncio.run(test()) == source
