from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from chatagent import chat
from chatagent.redis.session import Session
from chatagent.runtime.engine import EngineOptions
from chatagent.runtime.slot import parked, release_slot
from tests.runtime.world import World, live, text_of, until


def lease_until(world: World, session: Session) -> int:
    """When the lease lapses."""
    found: Any = world.side.client.hget(f"test:{{{session.id}}}:session", "lease_until")
    return int(found)


def test_a_turn_that_waits_for_a_child_gives_its_slot_back_and_goes_on(redis_url: str) -> None:
    async def test(world: World) -> None:
        child = asyncio.Event()

        @chat.agent("parent")
        async def parent(turn: chat.Turn[Any]) -> str:
            async with parked():
                await child.wait()
            return "with child"

        session = world.chat(parent)
        async with world.engine(parent, options=EngineOptions(heartbeat_s=0.1)) as engine:
            assert await world.turn(engine, session) == "parked"
            # Its lease is kept meanwhile: another task of the same session finds it held.
            parked_until = lease_until(world, session)
            await until(lambda: lease_until(world, session) > parked_until)
            assert await engine.run_turn(session.agent, session.id) == "held"
            child.set()
            await until(lambda: len(world.history(session)) == 2)
        assert text_of(world.history(session)) == ["hi", "with child"]

    live(redis_url, test)


def test_a_hundred_parents_on_a_pool_of_ten_do_not_deadlock(redis_url: str) -> None:
    children: list[asyncio.Event] = []

    @chat.agent("family")
    async def family(turn: chat.Turn[Any]) -> str:
        if turn.chat_id.startswith("child"):
            return "child"
        child = asyncio.Event()
        children.append(child)
        async with parked():
            await child.wait()
        return "parent"

    async def test(world: World) -> None:
        pool = asyncio.Semaphore(10)
        async with world.engine(family) as engine:

            async def task(session: Any) -> str:
                async with pool:
                    return await engine.run_turn(session.agent, session.id)

            parents = [world.chat(family, f"parent{number}") for number in range(100)]
            for session in parents:
                world.say(session)
            assert await asyncio.gather(*[task(session) for session in parents]) == ["parked"] * 100
            child = world.chat(family, "child")
            world.say(child)
            assert await task(child) == "completed"
            for event in children:
                event.set()
            await until(lambda: all(len(world.history(session)) == 2 for session in parents))

    live(redis_url, test)
    assert len(children) == 100


def test_a_turn_without_a_slot_is_handed_back_at_a_shutdown(redis_url: str) -> None:
    async def test(world: World) -> None:
        blocked = [True]

        @chat.agent("moved")
        async def moved(turn: chat.Turn[Any]) -> str:
            release_slot()
            if blocked[0]:
                await asyncio.Event().wait()
            return "elsewhere"

        session = world.chat(moved)
        async with world.engine(moved, options=EngineOptions(grace_s=0.05)) as engine:
            assert await world.turn(engine, session) == "parked"
        assert world.sent == [("moved", session.id, "turns")]
        blocked[0] = False
        async with world.engine(moved, owner="w2") as engine:
            assert await engine.run_turn(session.agent, session.id) in ("completed", "parked")
            await until(lambda: len(world.history(session)) == 2)

    live(redis_url, test)


def test_a_turn_that_is_claimed_while_its_worker_leaves_is_handed_back(redis_url: str) -> None:
    @chat.agent("late")
    async def late(turn: chat.Turn[Any]) -> str:
        return "elsewhere"

    async def test(world: World) -> None:
        session = world.chat(late)
        world.say(session)
        async with world.engine(late) as engine:
            turn = asyncio.create_task(engine.run_turn("late", session.id))
            # It is on its way to Redis; nothing is claimed yet.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await engine.stop()
            assert turn.done()
        assert world.sent == [("late", session.id, "turns")]
        assert world.history(session) == []
        async with world.engine(late, owner="w2") as engine:
            assert await engine.run_turn("late", session.id) == "completed"

    live(redis_url, test)


def test_a_turn_that_takes_too_long_is_cancelled_and_says_so(redis_url: str) -> None:
    @chat.agent("endless", max_duration=0.2)
    async def endless(turn: chat.Turn[Any]) -> str:
        await chat.pipe("half")
        await asyncio.Event().wait()
        return "never"

    @chat.agent("obedient", max_duration=0.2)
    async def obedient(turn: chat.Turn[Any]) -> str:
        await turn.signal.wait()
        assert turn.cancel_signal.aborted
        return "late"

    async def test(world: World) -> None:
        async with world.engine(endless, obedient) as engine:
            for agent in (endless, obedient):
                session = world.chat(agent, agent.id)
                assert await world.turn(engine, session) == "failed"
                assert world.chunks(session)[-1] == {
                    "type": "error",
                    "errorText": "this took longer than the 0.2 s that it may take",
                }
                assert len(world.history(session)) == 2

    live(redis_url, test)


def test_a_turn_in_time_is_not_cancelled(redis_url: str) -> None:
    @chat.agent("quick", max_duration="1h")
    async def quick(turn: chat.Turn[Any]) -> str:
        return "quick"

    async def test(world: World) -> None:
        session = world.chat(quick)
        async with world.engine(quick) as engine:
            assert await world.turn(engine, session) == "completed"

    live(redis_url, test)


def test_a_concurrency_limit_holds_over_all_workers_and_nobody_starves(redis_url: str) -> None:
    running: set[str] = set()
    most = 0
    answered: list[str] = []

    @chat.agent("limited", concurrency_limit=2)
    async def limited(turn: chat.Turn[Any]) -> str:
        nonlocal most
        running.add(turn.chat_id)
        most = max(most, len(running))
        await asyncio.sleep(0.02)
        running.remove(turn.chat_id)
        answered.append(turn.chat_id)
        return "done"

    async def test(world: World) -> None:
        async with AsyncExitStack() as stack:
            engines = [await stack.enter_async_context(world.engine(limited, owner=f"w{n}")) for n in (1, 2, 3)]
            sessions = [world.chat(limited, f"c{number}") for number in range(12)]
            for session in sessions:
                world.say(session)
            turns = [
                asyncio.create_task(engines[at % 3].run_turn(session.agent, session.id))
                for at, session in enumerate(sessions)
            ]
            outcomes = await asyncio.gather(*turns)
            assert "waiting for others" in outcomes
            # What is enqueued for those who wait is run by whoever gets it.
            async with asyncio.timeout(60):
                while len(answered) < len(sessions):
                    sent, world.sent[:] = list(world.sent), []
                    await asyncio.gather(
                        *[engines[at % 3].run_turn(agent, sid) for at, (agent, sid, _) in enumerate(sent)]
                    )
                    await asyncio.sleep(0.005)
            assert all(len(world.history(session)) == 2 for session in sessions)

    live(redis_url, test)
    assert most == 2
    assert sorted(answered) == sorted({*answered})


def test_a_late_task_of_a_running_turn_does_not_give_its_place_away(redis_url: str) -> None:
    async def test(world: World) -> None:
        release = asyncio.Event()

        @chat.agent("single", concurrency_limit=1)
        async def single(turn: chat.Turn[Any]) -> str:
            await release.wait()
            return "done"

        first, second = world.chat(single, "c1"), world.chat(single, "c2")
        async with world.engine(single) as engine, world.engine(single, owner="w2") as other:
            running = asyncio.create_task(world.turn(engine, first))
            await until(lambda: world.chunks(first))
            assert await other.run_turn(single.id, first.id) == "nothing to do"
            world.say(second)
            assert await other.run_turn(single.id, second.id) == "waiting for others"
            release.set()
            assert await running == "completed"
            assert (single.id, second.id, "turns") in world.sent
            assert await other.run_turn(single.id, second.id) == "completed"

    live(redis_url, test)


def test_a_late_task_of_an_answered_message_gives_its_place_back(redis_url: str) -> None:
    @chat.agent("single", concurrency_limit=1)
    async def single(turn: chat.Turn[Any]) -> str:
        return "done"

    async def test(world: World) -> None:
        first, second = world.chat(single, "c1"), world.chat(single, "c2")
        async with world.engine(single) as engine:
            await world.turn(engine, first)
            assert await engine.run_turn(single.id, first.id) == "nothing to do"
            assert await world.turn(engine, second) == "completed"

    live(redis_url, test)


def test_a_turn_that_is_given_up_lets_the_next_message_through(redis_url: str) -> None:
    @chat.agent("poisoned")
    async def poisoned(turn: chat.Turn[Any]) -> str:
        return "fine"

    async def test(world: World) -> None:
        session = world.chat(poisoned)
        async with world.engine(poisoned) as engine:
            world.say(session, "bad", "u1")
            world.say(session, "good", "u2")
            # Five attempts died: more than even an error could be made of.
            for _ in range(5):
                store = engine._store
                claim = await store.claim(session.id, known_epoch=-1)
                assert claim is not None
                world.side.client.hset(world.side.sessions.keys.session(session.id), "lease_until", 0)
            assert await engine.run_turn(session.agent, session.id) == "failed"
            assert [sent[:2] for sent in world.sent] == [("poisoned", session.id)]
            assert await engine.run_turn(session.agent, session.id) == "completed"
        assert text_of(world.history(session)) == ["bad", "good", "fine"]

    live(redis_url, test)


def test_the_sweeper_enqueues_what_nobody_came_for(redis_url: str) -> None:
    @chat.agent("forgotten")
    async def forgotten(turn: chat.Turn[Any]) -> str:
        return "found"

    async def test(world: World) -> None:
        sessions = [world.chat(forgotten, f"c{number}") for number in range(40)]
        for session in sessions:
            world.say(session)
            keys = world.side.sessions.keys
            world.side.client.hset(keys.session(session.id), "queued_at", 1)
            world.side.client.zadd(keys.queued, {session.id: 1})
        async with world.engine(forgotten, options=EngineOptions(sweep_s=0.05)):
            await until(lambda: len(world.sent) == 40)
        assert sorted(sent[1] for sent in world.sent) == sorted(session.id for session in sessions)

    live(redis_url, test)


@pytest.mark.parametrize("kind", ["stop", "message"])
def test_a_bell_for_a_session_that_is_not_here_is_nothing(redis_url: str, kind: str) -> None:
    async def test(world: World) -> None:
        async with world.engine() as engine:
            engine.on_bell(kind, "session_elsewhere")

    live(redis_url, test)
