"""Authors' code that would take its worker with it: it ends its own turn, and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chatagent import chat
from chatagent.celery.loop import LoopThread
from chatagent.runtime import call
from chatagent.runtime.engine import EngineOptions
from tests.redis.chat import gateway
from tests.runtime.world import World, live, text_of, until


@chat.agent("coroutine")
async def coroutine(turn: chat.Turn[Any]) -> str:
    raise SystemExit(1)


@chat.agent("generator")
async def generator(turn: chat.Turn[Any]) -> AsyncIterator[str]:
    yield "begun"
    raise KeyboardInterrupt


@chat.agent("plain")
def plain(turn: chat.Turn[Any]) -> str:
    raise SystemExit("bye")


@chat.agent("hooked")
async def hooked(turn: chat.Turn[Any]) -> str:
    return "fine"


@hooked.on_turn_complete
async def leave(event: chat.TurnComplete[Any]) -> None:
    raise SystemExit


@pytest.mark.parametrize("agent", [coroutine, generator, plain, hooked], ids=lambda agent: str(agent.id))
def test_code_that_exits_ends_its_turn_and_not_its_worker(redis_url: str, agent: chat.Agent[Any]) -> None:
    async def test(world: World) -> None:
        session = world.chat(agent)
        async with world.engine(agent) as engine:
            for at in range(2):
                ended = await world.turn(engine, session, "go", f"u{at}")
                assert ended == ("completed" if agent is hooked else "failed")
        errors = [chunk["errorText"] for chunk in world.chunks(session) if chunk["type"] == "error"]
        assert set(errors) == (set() if agent is hooked else {"An error occurred."})

    live(redis_url, test)


def test_the_loop_of_a_worker_outlives_tasks_that_exit() -> None:
    async def exits() -> None:
        raise SystemExit(1)

    async def started() -> bool:
        task = asyncio.create_task(exits())
        await asyncio.wait([task])
        return isinstance(task.exception(), SystemExit)

    loop = LoopThread()
    loop.start()
    try:
        assert loop.submit(started()).result(30)
        assert loop.submit(started()).result(30)
    finally:
        loop.stop()


@pytest.mark.parametrize("end", ["a stop", "its time", "a deploy"])
def test_code_that_heeds_no_cancellation_is_left_alone(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(call, "STOP_GRACE_S", 0.01)
    monkeypatch.setattr(call, "CANCEL_S", (0.01, 0.01))
    let_go = asyncio.Event()
    calls: list[int] = []

    @chat.agent("stubborn", max_duration=0.5 if end == "its time" else 600)
    async def stubborn(turn: chat.Turn[Any]) -> None:
        calls.append(turn.number)
        if len(calls) > 1:
            await chat.pipe("second")
            return
        await chat.pipe("first")
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        try:
            chat.response.write({"type": "data-late", "data": 1})
        finally:
            calls.append(-1)

    async def test(world: World) -> None:
        session = world.chat(stubborn)
        options = EngineOptions(grace_s=0.01)
        async with world.engine(stubborn, options=options) as one:
            world.say(session, "go", "u1")
            turn = asyncio.create_task(one.run_turn("stubborn", session.id))
            await until(lambda: any(chunk.get("delta") == "first" for chunk in world.chunks(session)))
            if end == "a stop":
                world.stop(session)
            if end == "a deploy":
                await one.stop()
                assert await turn == "handed back"
            else:
                assert await turn == ("stopped" if end == "a stop" else "failed")
        async with world.engine(stubborn, owner="w2") as two:
            if end != "a deploy":
                world.say(session, "again", "u2")
            assert await two.run_turn("stubborn", session.id) == "completed"
        let_go.set()
        await until(lambda: calls[-1] == -1)
        texts = ["go", "second"] if end == "a deploy" else ["go", "first", "again", "second"]
        assert text_of(world.history(session)) == texts
        assert "late" not in str(world.chunks(session))

    live(redis_url, test)


def test_code_that_blocks_the_loop_costs_no_chat_its_lease_and_is_named(
    redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    @chat.agent("blocking")
    async def blocking(turn: chat.Turn[Any]) -> str:
        blocks(turn.session_id)
        return "done"

    def blocks(session_id: str) -> None:
        """Until its lease has been renewed twice: nobody else can, while this holds the loop."""
        key, deadline = f"test:{{{session_id}}}:session", time.monotonic() + 60
        found: list[Any] = []
        with gateway(redis_url) as side:
            while len(set(found)) < 3 and time.monotonic() < deadline:
                found.append(side.client.hget(key, "lease_until"))
                assert side.client.hget(key, "owner") == b"w1"
                time.sleep(0.01)
        renewed.append(len(set(found)))

    renewed: list[int] = []

    async def test(world: World) -> None:
        session = world.chat(blocking)
        async with world.engine(blocking, options=EngineOptions(heartbeat_s=0.2)) as engine:
            assert await world.turn(engine, session) == "completed"

    live(redis_url, test)
    assert renewed == [3]
    (told,) = [record for record in caplog.records if "event loop is blocked" in record.getMessage()]
    assert "in blocks" in told.getMessage()


@pytest.mark.parametrize("waits", [False, True])
def test_code_that_writes_and_never_waits_is_ended_and_who_waits_may_write_any_amount(
    redis_url: str, waits: bool
) -> None:
    told: list[str] = []
    part = {"type": "data-x", "data": "x" * 1_000_000, "transient": True}

    @chat.agent("flood")
    async def flood(turn: chat.Turn[Any]) -> Any:
        if turn.number > 0:
            yield "fine"
        for _ in range(40 if turn.number == 0 else 0):
            if waits:
                yield part
            else:
                chat.response.write(part)

    @flood.on_turn_complete
    async def complete(event: chat.TurnComplete[Any]) -> None:
        told.append(str(event.error or ""))

    async def test(world: World) -> None:
        session = world.chat(flood)
        async with world.engine(flood) as engine:
            assert await world.turn(engine, session) == ("completed" if waits else "failed")
            chunks = [chunk["type"] for chunk in world.chunks(session)]
            count = 40 if waits else 34
            assert chunks == ["start", *["data-x"] * count, "finish" if waits else "error"]
            assert await world.turn(engine, session, "and now?", "u2") == "completed"
        assert text_of(world.history(session))[-1] == "fine"

    live(redis_url, test)
    assert ["faster than Redis takes it" in each for each in told] == [not waits, False]
