"""A worker dies (or loses its lease) in the middle of a turn, and another goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chatagent import chat, step_count_is, stream_text, tool
from chatagent.redis import RedisBackend
from chatagent.redis.session import Session
from chatagent.runtime.engine import Engine, EngineOptions
from chatagent.ui import fold_message
from tests.provider import LITELLM_WARNINGS, FakeProvider
from tests.redis.chat import gateway
from tests.runtime.world import World, live, text_of, until


def expire_lease(world: World, session: Session) -> None:
    """What the passing of the lease time does."""
    world.expire(session.id)


def test_a_broken_step_is_redone_and_no_dead_chunk_is_stored(redis_url: str) -> None:
    attempts: list[int] = []
    gate = asyncio.Event()

    @chat.agent("slow")
    async def slow(turn: chat.Turn[Any]) -> AsyncIterator[str]:
        attempts.append(turn.attempt)
        yield "dead " if turn.attempt == 1 else "alive "
        if turn.attempt == 1:
            await gate.wait()
        yield "end"

    async def test(world: World) -> None:
        session = world.chat(slow)
        async with world.engine(slow) as one, world.engine(slow, owner="w2") as two:
            world.say(session)
            zombie = asyncio.create_task(one.run_turn("slow", session.id))
            await until(lambda: any(chunk.get("delta") == "dead " for chunk in world.chunks(session)))
            expire_lease(world, session)
            assert await two.run_turn("slow", session.id) == "completed"
            gate.set()
            assert await zombie == "lost"
        chunks = world.chunks(session)
        assert [chunk["type"] for chunk in chunks].count("reset-step") == 1
        assert [chunk["type"] for chunk in chunks].count("start") == 1
        user, answer = world.history(session)
        assert answer["parts"] == [{"type": "step-start"}, {"type": "text", "text": "alive end", "state": "done"}]
        assert fold_message(chunks) == answer, "what a client that followed all along holds"
        assert user["id"] == "u1"

    live(redis_url, test)
    assert attempts == [1, 2]


def test_the_sweeper_of_another_worker_picks_the_turn_up(redis_url: str) -> None:
    @chat.agent("stuck")
    async def stuck(turn: chat.Turn[Any]) -> str:
        if turn.attempt == 1:
            await asyncio.Event().wait()
        return "picked up"

    async def test(world: World) -> None:
        session = world.chat(stuck)
        options = EngineOptions(sweep_s=0.05)
        async with world.engine(stuck) as one, world.engine(stuck, owner="w2", options=options) as two:
            world.say(session)
            zombie = asyncio.create_task(one.run_turn("stuck", session.id))
            await until(lambda: world.chunks(session))
            expire_lease(world, session)
            await until(lambda: world.sent)
            agent, session_id, queue = world.sent[0]
            assert (agent, session_id, queue) == ("stuck", session.id, "turns")
            assert await two.run_turn(agent, session_id) == "completed"
            zombie.cancel()
            await asyncio.gather(zombie, return_exceptions=True)
        assert text_of(world.history(session)) == ["hi", "picked up"]

    live(redis_url, test)


def test_a_worker_that_leaves_hands_its_turn_back_and_nothing_is_lost(redis_url: str) -> None:
    attempts: list[int] = []

    @chat.agent("long")
    async def long(turn: chat.Turn[Any]) -> AsyncIterator[str]:
        attempts.append(turn.attempt)
        yield "part "
        if len(attempts) == 1:
            await asyncio.Event().wait()

    async def test(world: World) -> None:
        session = world.chat(long)
        async with world.engine(long, options=EngineOptions(grace_s=0.05)) as leaving:
            world.say(session)
            turn = asyncio.create_task(leaving.run_turn("long", session.id))
            await until(lambda: len(world.chunks(session)) > 2)
            await leaving.stop()
            assert await turn == "handed back"
        assert world.sent == [("long", session.id, "turns")]
        async with world.engine(long, owner="w2") as other:
            assert await other.run_turn("long", session.id) == "completed"
        assert text_of(world.history(session)) == ["hi", "part "]

    live(redis_url, test)
    assert attempts == [1, 1], "handing back is no failed attempt"


def test_a_worker_that_leaves_gives_its_warm_chats_to_any_other(redis_url: str) -> None:
    @chat.agent("warm")
    async def warm(turn: chat.Turn[Any]) -> str:
        return "answer"

    async def test(world: World) -> None:
        session = world.chat(warm)
        async with world.engine(warm) as engine:
            await world.turn(engine, session)
            assert world.side.client.hget(f"test:{{{session.id}}}:session", "warm") == b"queue.w1"
        assert world.side.say(session).queue == "turns"

    live(redis_url, test)


def test_a_worker_that_is_leaving_passes_tasks_on(redis_url: str) -> None:
    @chat.agent("busy")
    async def busy(turn: chat.Turn[Any]) -> str:
        return "never here"

    async def test(world: World) -> None:
        session = world.chat(busy)
        async with world.engine(busy) as engine:
            world.say(session)
            await engine.stop()
            assert await engine.run_turn("busy", session.id) == "passed on"
        assert world.sent == [("busy", session.id, "turns")]

    live(redis_url, test)


@pytest.mark.filterwarnings(*LITELLM_WARNINGS)
def test_finished_tools_are_not_run_again_whenever_the_worker_dies(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner
) -> None:
    """Two tools run side by side; the worker dies when one has finished, before and after the step's end."""
    ran: list[str] = []
    block = asyncio.Event()

    @tool
    async def quick(n: int) -> str:
        """A tool that finishes."""
        ran.append(f"quick {n}")
        return "quick done"

    @tool
    async def slow(n: int) -> str:
        """A tool that hangs in the first attempt."""
        ran.append(f"slow {n}")
        if ran.count(f"slow {n}") == 1:
            await block.wait()
        return "slow done"

    @chat.agent("tools", tools=[quick, slow])
    async def agent(turn: chat.Turn[Any]) -> Any:
        return stream_text(
            "openai/fake", turn.messages, stop_when=step_count_is(5), api_base=provider.url, api_key="none"
        )

    calls: list[dict[str, Any]] = [
        {"tool": [{"index": 0, "id": "c1", "name": "quick", "args": '{"n":1}'}]},
        {"tool": [{"index": 1, "id": "c2", "name": "slow", "args": '{"n":1}'}]},
        {"finish": "tool_calls"},
    ]
    provider.script(calls, [{"content": "all "}, {"content": "done"}, {"finish": "stop"}])

    async def test(world: World) -> None:
        session = world.chat(agent)
        async with world.engine(agent) as one, world.engine(agent, owner="w2") as two:
            world.say(session)
            zombie = asyncio.create_task(one.run_turn("tools", session.id))
            await until(lambda: any(chunk["type"] == "tool-output-available" for chunk in world.chunks(session)))
            expire_lease(world, session)
            assert await two.run_turn("tools", session.id) == "completed"
            # Else it may learn that it was overtaken only after its next model call.
            await one.renew()
            block.set()
            assert await zombie == "lost"
        answer = world.history(session)[1]
        states = [(part.get("toolCallId"), part.get("output")) for part in answer["parts"] if "toolCallId" in part]
        assert states == [("c1", "quick done"), ("c2", "slow done")]
        assert text_of([answer]) == ["all done"]
        assert fold_message(world.chunks(session)) == answer
        assert [part["type"] for part in answer["parts"]].count("step-start") == 2

    with gateway(redis_url) as side:
        model_loop.run(test(World(redis_url, side)))
    assert ran == ["quick 1", "slow 1", "slow 1"]
    assert len(provider.requests) == 2, "the finished model call was not made again"
    told = provider.requests[1].body["messages"]
    assert [message["role"] for message in told] == ["user", "assistant", "tool", "tool"]
    assert [message["content"] for message in told[2:]] == ["quick done", "slow done"]


@pytest.mark.filterwarnings(*LITELLM_WARNINGS)
def test_a_second_model_call_that_broke_is_redone_inside_its_step(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner
) -> None:
    ran: list[int] = []

    @tool
    async def once(n: int) -> str:
        """A tool with a side effect."""
        ran.append(n)
        return "did it"

    @chat.agent("tools2", tools=[once])
    async def agent(turn: chat.Turn[Any]) -> Any:
        return stream_text("openai/fake", turn.messages, api_base=provider.url, api_key="none")

    provider.script(
        [{"tool": [{"index": 0, "id": "c1", "name": "once", "args": '{"n":1}'}]}, {"finish": "tool_calls"}],
        [{"content": "half an ans"}, {"hang": True}],
        [{"content": "a whole answer"}, {"finish": "stop"}],
    )

    async def test(world: World) -> None:
        session = world.chat(agent)
        async with world.engine(agent) as one, world.engine(agent, owner="w2") as two:
            world.say(session)
            zombie = asyncio.create_task(one.run_turn("tools2", session.id))
            await until(lambda: any(chunk.get("delta") == "half an ans" for chunk in world.chunks(session)))
            expire_lease(world, session)
            assert await two.run_turn("tools2", session.id) == "completed"
            await _renewed(one)
            assert await zombie == "lost"
        answer = world.history(session)[1]
        assert [part["type"] for part in answer["parts"]] == ["step-start", "tool-once", "step-start", "text"]
        assert text_of([answer]) == ["a whole answer"]
        assert fold_message(world.chunks(session)) == answer

    with gateway(redis_url) as side:
        model_loop.run(test(World(redis_url, side)))
    assert ran == [1]
    assert provider.closed_early.wait(30), "the zombie let go of its provider"


async def _renewed(engine: Engine) -> None:
    """The heartbeat, now: how a silent zombie learns that it lost its lease."""
    await engine.renew()


def test_the_message_behind_one_that_is_given_up_is_enqueued_at_once(redis_url: str) -> None:
    @chat.agent("poisoned")
    async def poisoned(turn: chat.Turn[Any]) -> str:
        return "answered"

    async def test(world: World) -> None:
        session = world.chat(poisoned)
        world.say(session, "poison", "u1")
        world.say(session, "harmless", "u2")
        dead = RedisBackend(world.url, "test").open_worker("dead", "queue.dead")
        assert await dead.claim(session.id, known_epoch=-1) is not None
        await dead.close()
        world.side.client.hset(f"test:{{{session.id}}}:session", "attempts", 100)
        expire_lease(world, session)
        async with world.engine(poisoned) as engine:
            assert await engine.run_turn("poisoned", session.id) == "failed"
            assert ("poisoned", session.id, "turns") in world.sent
            assert await engine.run_turn("poisoned", session.id) == "completed"
        assert text_of(world.history(session)) == ["poison", "harmless", "answered"]

    live(redis_url, test)
