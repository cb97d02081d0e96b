"""`chat.stream`: raw chunks into one's own stream and those above, in order, once, and only while their turn runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chatagent import TaskRun, chat, task
from chatagent.errors import BadRequest, ConfigError
from chatagent.record import is_raw
from tests.runtime.fleet import Fleet, fleet
from tests.runtime.world import until


def test_raw_chunks_stand_among_those_of_the_answer_and_are_not_stored(redis_url: str) -> None:
    @chat.agent("raw")
    async def raw(turn: chat.Turn[Any]) -> None:
        await turn.pipe("one")
        async with chat.stream.writer() as out:
            await out.write({"type": "data-mark", "data": 1})
        await chat.stream.writer(lambda out: out.write({"type": "data-mark", "data": 2}))
        await chat.stream.append("plain")
        await turn.pipe("two")
        with pytest.raises(BadRequest):
            await chat.stream.append({"type": "text-delta"})
        with pytest.raises(BadRequest, match="finish"):
            await chat.stream.append({"type": "finish"})
        assert await chat.stream.pipe([{"type": "start"}, {"type": "data-mark", "data": 3}, {"type": "finish"}])
        with pytest.raises(ConfigError, match="parent"):
            await chat.stream.append("x", target="parent")

    async def test(world: Fleet) -> None:
        async with world.worker(raw):
            session = world.chat(raw)
            world.say(session)
            await world.dispatch("raw", session.id, "turns")
            await until(lambda: len(world.history(session)) == 2)
            types = [each["type"] for each in world.chunks(session) if each["type"] in ("text-delta", "data-mark")]
            assert types == ["text-delta", "data-mark", "data-mark", "text-delta", "data-mark"]
            records = world.side.outbox.read(session.id, -1)
            assert sum(is_raw(record.raw) for record in records) == 4
            assert {part["type"] for part in world.history(session)[1]["parts"]} == {"step-start", "text"}

    fleet(redis_url, test)


def test_a_task_streams_into_the_turns_above_it_in_order(redis_url: str) -> None:
    @task("inner")
    async def inner(n: int) -> None:
        async def counting() -> AsyncIterator[dict[str, Any]]:
            for number in range(200):
                yield {"type": "data-count", "data": number}

        assert await chat.stream.pipe(counting(), target="root")
        await chat.stream.append({"type": "data-note", "data": "inner"})

    @task("outer")
    async def outer(n: int, run: TaskRun) -> None:
        (await inner.trigger_and_wait(n)).unwrap()
        assert run.trace.root is not None
        assert await chat.stream.append({"type": "data-note", "data": "outer"}, target=run.trace.root.run_id)

    @chat.agent("top")
    async def top(turn: chat.Turn[Any]) -> str:
        (await outer.trigger_and_wait(1)).unwrap()
        return "done"

    async def test(world: Fleet) -> None:
        async with world.worker(top, outer, inner):
            session = world.chat(top)
            world.say(session)
            await world.dispatch("top", session.id, "turns")
            await until(lambda: len(world.history(session)) == 2)
            chunks = world.chunks(session)
            assert [each["data"] for each in chunks if each["type"] == "data-count"] == list(range(200))
            assert [each["data"] for each in chunks if each["type"] == "data-note"] == ["outer"]
            seqs = [record.seq for record in world.side.outbox.read(session.id, -1)]
            assert seqs == sorted(set(seqs)), "one gapless order"
            assert seqs[-1] - seqs[0] == len(seqs) - 1

    fleet(redis_url, test)


def test_who_writes_to_a_turn_that_has_ended_is_told(redis_url: str) -> None:
    wrote: list[bool] = []
    gate = asyncio.Event()

    @task("late")
    async def late(n: int) -> None:
        await gate.wait()
        wrote.append(await chat.stream.append("too late", target="root"))

    @chat.agent("quick")
    async def quick(turn: chat.Turn[Any]) -> str:
        await late.trigger(1)
        return "bye"

    async def test(world: Fleet) -> None:
        async with world.worker(quick, late):
            session = world.chat(quick)
            world.say(session)
            await world.dispatch("quick", session.id, "turns")
            await until(lambda: len(world.history(session)) == 2)
            gate.set()
            await until(lambda: wrote)
            assert wrote == [False]
            assert all(chunk["type"] != "data-text" for chunk in world.chunks(session))

    fleet(redis_url, test)


def test_the_stream_of_a_run_is_read_as_it_grows_and_again_when_it_has_ended(redis_url: str) -> None:
    read: list[list[Any]] = []

    @task("source")
    async def source(n: int) -> None:
        for number in range(n):
            await chat.stream.append({"type": "data-n", "data": number})
            await asyncio.sleep(0.01)

    @chat.agent("reader")
    async def reader(turn: chat.Turn[Any]) -> str:
        handle = await source.trigger(20)
        for _ in range(2):
            read.append([chunk["data"] async for chunk in chat.stream.read(handle.run_id)])
        return "read"

    async def test(world: Fleet) -> None:
        async with world.worker(reader, source):
            session = world.chat(reader)
            world.say(session)
            await world.dispatch("reader", session.id, "turns")
            await until(lambda: len(world.history(session)) == 2)
            assert read == [list(range(20))] * 2

    fleet(redis_url, test)


def test_raw_chunks_of_a_dead_attempt_do_not_join_the_message(redis_url: str) -> None:
    @chat.agent("phoenix")
    async def phoenix(turn: chat.Turn[Any]) -> AsyncIterator[str]:
        await chat.stream.append({"type": "data-raw", "id": "r", "data": turn.attempt})
        yield "dead " if turn.attempt == 1 else "alive"
        if turn.attempt == 1:
            await asyncio.Event().wait()

    async def test(world: Fleet) -> None:
        session = world.chat(phoenix)
        world.say(session)
        async with world.mortal(phoenix) as (doomed, die):
            turn = asyncio.create_task(doomed.run_turn("phoenix", session.id))
            await until(lambda: any(chunk["type"] == "text-delta" for chunk in world.chunks(session)))
            die()
            await asyncio.gather(turn, return_exceptions=True)
            async with world.worker(phoenix):
                await until(lambda: len(world.history(session)) == 2)
        assert [chunk["data"] for chunk in world.chunks(session) if chunk["type"] == "data-raw"] == [1, 2]
        assert {part["type"] for part in world.history(session)[1]["parts"]} == {"step-start", "text"}

    fleet(redis_url, test)
