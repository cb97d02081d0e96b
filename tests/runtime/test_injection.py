"""Injected messages: from other processes and from tasks, into the running turn, each read once whatever dies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from pydantic import BaseModel

from chatagent import Retry, ai, chat, stream_text, task, tool
from chatagent.errors import ConfigError
from chatagent.redis.session import Session
from chatagent.ui import fold_message
from tests.provider import LITELLM_WARNINGS, FakeProvider
from tests.redis.chat import gateway, submit
from tests.redis_server import RedisServer
from tests.runtime.fleet import Fleet, fleet
from tests.runtime.test_recovery import expire_lease
from tests.runtime.world import World, text_of, until

pytestmark = pytest.mark.filterwarnings(*LITELLM_WARNINGS)

_CALL: list[dict[str, Any]] = [
    {"tool": [{"index": 0, "id": "c1", "name": "look", "args": "{}"}]},
    {"finish": "tool_calls"},
]
_SAY: list[dict[str, Any]] = [{"content": "ok"}, {"finish": "stop"}]
_DIE: list[dict[str, Any]] = [{"content": "dead"}, {"hang": True}]


class Query(BaseModel):
    query: str


def _looker(provider: FakeProvider, gate: asyncio.Event, *tools: Any, **options: Any) -> chat.Agent[Any]:
    @tool
    async def look() -> str:
        """Look."""
        await gate.wait()
        return "snow"

    @chat.agent("looker", tools=[look, *tools], **options)
    async def looker(turn: chat.Turn[Any]) -> Any:
        return stream_text("openai/fake", turn.messages, api_base=provider.url, api_key="none")

    return looker


def _run(redis_url: str, loop: asyncio.Runner, test: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    with gateway(redis_url) as side:
        loop.run(test(World(redis_url, side)))


def _told(provider: FakeProvider, at: int) -> list[str]:
    """What one model call was told, without the system prompt."""
    messages = provider.requests[at].body["messages"]
    return [str(message.get("content")) for message in messages if message["role"] != "system"]


async def _until_wrote(world: World, session: Session, **wanted: Any) -> None:
    await until(lambda: any(wanted.items() <= chunk.items() for chunk in world.chunks(session)))


def _inject(world: World, session: Session, *texts: str, key: str | None = None) -> None:
    """What any other process of the app does."""
    world.side.inbox.inject(session.id, [{"role": "user", "content": text} for text in texts], key=key)


def test_what_another_process_injects_is_read_at_the_next_step_of_the_running_turn(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner
) -> None:
    async def test(world: World) -> None:
        gate = asyncio.Event()
        agent = _looker(provider, gate)
        session = world.chat(agent)
        provider.script(_CALL, _SAY, _SAY)
        async with world.engine(agent) as engine:
            world.say(session, "how is it?", "u1")
            turn = asyncio.create_task(engine.run_turn("looker", session.id))
            await _until_wrote(world, session, type="tool-input-available")
            for _ in range(2):
                _inject(world, session, "it got late", key="once")
            world.side.inbox.inject(session.id, [{"role": "system", "content": "be brief"}])
            gate.set()
            assert await turn == "completed"
            answer = world.history(session)[1]
            assert [part["type"] for part in answer["parts"]][2] == "data-background-injected"
            assert fold_message(world.chunks(session)) == answer
            assert await world.turn(engine, session, "thanks", "u2") == "completed"

    _run(redis_url, model_loop, test)
    assert _told(provider, 1) == ["how is it?", "None", "snow", "it got late"]
    assert provider.requests[1].body["messages"][0] == {"role": "system", "content": "be brief"}
    assert _told(provider, 2) == ["how is it?", "None", "snow", "it got late", "ok", "thanks"]
    assert "be brief" not in str(provider.requests[2].body)


def test_what_comes_too_late_for_a_turn_is_read_by_the_next_one(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner
) -> None:
    async def test(world: World) -> None:
        agent = _looker(provider, asyncio.Event())
        session = world.chat(agent)
        provider.script([{"content": "a"}, {"sleep": 5000}, {"finish": "stop"}], _SAY)
        async with world.engine(agent) as engine:
            world.say(session, "one", "u1")
            turn = asyncio.create_task(engine.run_turn("looker", session.id))
            await _until_wrote(world, session, delta="a")
            _inject(world, session, "too late")
            world.stop(session)
            assert await turn == "stopped"
            assert await world.turn(engine, session, "two", "u2") == "completed"

    _run(redis_url, model_loop, test)
    assert _told(provider, 1) == ["one", "a", "two", "too late"]


@pytest.mark.parametrize("read", [True, False], ids=["after it was read", "before it was read"])
def test_an_injected_message_is_read_once_when_the_worker_dies(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner, read: bool
) -> None:
    """After: the step that read it is kept, and the message stands where it was read."""

    async def test(world: World) -> None:
        gate = asyncio.Event()
        agent = _looker(provider, gate)
        session = world.chat(agent)
        _inject(world, session, "known before")
        provider.script(_CALL, *([_CALL, _DIE] if read else [_DIE]), _SAY, _SAY)
        async with world.engine(agent) as one, world.engine(agent, owner="w2") as two:
            world.say(session, "how is it?", "u1")
            zombie = asyncio.create_task(one.run_turn("looker", session.id))
            await _until_wrote(world, session, type="tool-input-available")
            if read:
                _inject(world, session, "it got late")
            gate.set()
            await _until_wrote(world, session, delta="dead")
            if not read:
                _inject(world, session, "it got late")
            expire_lease(world, session)
            assert await two.run_turn("looker", session.id) == "completed"
            await one.renew()
            assert await zombie == "lost"
            assert fold_message(world.chunks(session)) == world.history(session)[1]
            assert await world.turn(two, session, "thanks", "u2") == "completed"
        assert world.side.client.llen(f"test:{{{session.id}}}:inject") == 0

    _run(redis_url, model_loop, test)
    begin = ["how is it?", "known before"]
    late = ["None", "snow", "it got late", "None", "snow"] if read else ["it got late", "None", "snow"]
    assert _told(provider, -2) == [*begin, *late]
    assert _told(provider, -1) == [*begin, *late, "ok", "thanks"]


def test_what_a_finished_tool_has_injected_survives_its_worker(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner
) -> None:
    @tool
    async def look() -> str:
        """Look."""
        await chat.inject([{"role": "user", "content": "by the way"}])
        return "snow"

    @chat.agent("looker", tools=[look])
    async def looker(turn: chat.Turn[Any]) -> Any:
        # Code that runs again after a crash: the same is not said twice.
        await chat.inject([{"role": "user", "content": "at the start"}])
        return stream_text("openai/fake", turn.messages, api_base=provider.url, api_key="none")

    async def test(world: World) -> None:
        session = world.chat(looker)
        provider.script(_CALL, _DIE, _SAY)
        async with world.engine(looker) as one, world.engine(looker, owner="w2") as two:
            world.say(session, "how is it?", "u1")
            zombie = asyncio.create_task(one.run_turn("looker", session.id))
            await _until_wrote(world, session, delta="dead")
            expire_lease(world, session)
            assert await two.run_turn("looker", session.id) == "completed"
            await one.renew()
            assert await zombie == "lost"

    _run(redis_url, model_loop, test)
    assert _told(provider, -1) == ["how is it?", "at the start", "None", "snow", "by the way"]


def test_a_turn_waits_between_two_steps_while_redis_is_away(
    own_redis: RedisServer, provider: FakeProvider, model_loop: asyncio.Runner
) -> None:
    async def test(world: World) -> None:
        gate = asyncio.Event()
        agent = _looker(provider, gate)
        session = world.chat(agent)
        provider.script(_CALL, _SAY)
        async with world.engine(agent) as engine:
            world.say(session, "how is it?", "u1")
            turn = asyncio.create_task(engine.run_turn("looker", session.id))
            await _until_wrote(world, session, type="tool-input-available")
            _inject(world, session, "it got late")
            world.side.inbox.push(session.id, "message", submit("in the north", "s1"), busy="steer")
            own_redis.stop()
            gate.set()
            await asyncio.wait([turn], timeout=0.3)
            assert not turn.done()
            own_redis.start()
            assert await turn == "completed"
        answer = world.history(session)[1]
        assert "steering-message" in {part["type"] for part in answer["parts"]}

    _run(own_redis.url, model_loop, test)
    assert _told(provider, 1) == ["how is it?", "None", "snow", "it got late", "in the north"]


def test_a_task_injects_into_the_chat_that_waits_for_it(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner
) -> None:
    @task("dig", schema=Query)
    async def dig(query: Query) -> str:
        await chat.inject([{"role": "user", "content": f"dug for {query.query}"}])
        return "found"

    @task("plan", schema=Query, retry=Retry(max_attempts=2, min_s=0.01))
    async def plan(query: Query, run: Any) -> str:
        """Plan it."""
        await chat.inject([{"role": "user", "content": "planned"}], target="root")
        if run.attempt == 1:
            raise RuntimeError("again")
        return (await dig.trigger_and_wait(query)).unwrap()

    async def test(world: Fleet) -> None:
        agent = _looker(provider, asyncio.Event(), ai.tool(plan))
        async with world.worker(agent, plan, dig):
            session = world.chat(agent)
            world.say(session, 'call plan {"query": "owls"}')
            await world.dispatch("looker", session.id, "turns")
            await until(lambda: len(world.history(session)) == 2)
            assert text_of(world.history(session))[1]

    fleet(redis_url, test, runner=model_loop)
    assert _told(provider, 1)[-3:] == ["found", "planned", "dug for owls"]


def test_a_task_that_no_chat_has_started_has_no_model_to_tell(redis_url: str) -> None:
    @task("alone")
    async def alone(query: str) -> str:
        with pytest.raises(ConfigError, match="no chat has started"):
            await chat.inject("be brief")
        return "ok"

    async def test(world: Fleet) -> None:
        async with world.worker(alone):
            tasks = world.tasks()
            handle = await asyncio.to_thread(tasks.trigger, alone, "x")
            ended = await asyncio.to_thread(tasks.wait, alone, handle.run_id)
            tasks.close()
            assert ended.unwrap() == "ok"

    fleet(redis_url, test)
