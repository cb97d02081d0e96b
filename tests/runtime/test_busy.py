"""What happens to messages that arrive during a turn: every policy (behaviours 46, 82), and injected messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chatagent import chat, stream_text, tool
from chatagent.errors import Busy
from chatagent.redis.session import Session
from chatagent.runtime.engine import Engine
from chatagent.ui import fold_message
from tests.provider import LITELLM_WARNINGS, FakeProvider
from tests.redis.chat import gateway, submit
from tests.runtime.test_recovery import expire_lease
from tests.runtime.world import World, live, text_of, until


class Gate:
    """An agent that says `begun …` and waits until it is let go (or stopped)."""

    def __init__(self, **options: Any) -> None:
        self.open = asyncio.Event()
        self.heard: list[list[str]] = []

        @chat.agent("gated", **options)
        async def gated(turn: chat.Turn[Any]) -> AsyncIterator[str]:
            self.heard.append([str(message["content"]) for message in turn.messages])
            yield "begun"
            await self.open.wait()
            yield " done"

        self.agent = gated

    async def begin(self, world: World, engine: Engine, session: Session) -> asyncio.Task[str]:
        """Start a turn and wait until it streams."""
        world.say(session, "first", "u1")
        turn = asyncio.create_task(engine.run_turn("gated", session.id))
        await until(lambda: any(chunk.get("delta") == "begun" for chunk in world.chunks(session)))
        return turn


def _send(world: World, session: Session, text: str, message_id: str, busy: Any = None) -> None:
    world.side.inbox.push(session.id, "message", submit(text, message_id), busy=busy)


def test_enqueued_messages_get_turns_of_their_own_in_order(redis_url: str) -> None:
    async def test(world: World) -> None:
        gate = Gate()
        session = world.chat(gate.agent)
        async with world.engine(gate.agent) as engine:
            turn = await gate.begin(world, engine, session)
            for at in range(3):
                _send(world, session, f"more {at}", f"m{at}")
            gate.open.set()
            assert await turn == "completed"
            for _ in range(3):
                assert await engine.run_turn("gated", session.id) == "completed"
        texts = text_of(world.history(session))
        assert texts == ["first", *(t for at in range(3) for t in ("begun done", f"more {at}")), "begun done"]

    live(redis_url, test)


def test_an_interrupt_keeps_the_partial_answer_and_answers_the_new_message(redis_url: str) -> None:
    async def test(world: World) -> None:
        gate = Gate(busy="interrupt")
        session = world.chat(gate.agent)
        async with world.engine(gate.agent) as engine:
            turn = await gate.begin(world, engine, session)
            _send(world, session, "no, this", "u2")
            assert await turn == "stopped"
            gate.open.set()
            assert await engine.run_turn("gated", session.id) == "completed"
        assert text_of(world.history(session)) == ["first", "begun", "no, this", "begun done"]

    live(redis_url, test)


def test_a_rollback_forgets_the_question_and_its_answer(redis_url: str) -> None:
    async def test(world: World) -> None:
        gate = Gate()
        session = world.chat(gate.agent)
        async with world.engine(gate.agent) as engine:
            turn = await gate.begin(world, engine, session)
            _send(world, session, "forget it, this", "u2", "rollback")
            assert await turn == "stopped"
            gate.open.set()
            assert await engine.run_turn("gated", session.id) == "completed"
        assert text_of(world.history(session)) == ["forget it, this", "begun done"]
        assert gate.heard[1] == ["forget it, this"]

    live(redis_url, test)


def test_merged_messages_are_answered_by_one_turn(redis_url: str) -> None:
    async def test(world: World) -> None:
        gate = Gate(busy="merge")
        session = world.chat(gate.agent)
        async with world.engine(gate.agent) as engine:
            turn = await gate.begin(world, engine, session)
            for at in range(3):
                _send(world, session, f"more {at}", f"m{at}")
            gate.open.set()
            assert await turn == "completed"
            assert await engine.run_turn("gated", session.id) == "completed"
            assert await engine.run_turn("gated", session.id) == "nothing to do"
        assert text_of(world.history(session)) == ["first", "begun done", "more 0", "more 1", "more 2", "begun done"]
        assert world.side.sessions.get("c1").status == "idle"

    live(redis_url, test)


def test_a_busy_agent_may_reject(redis_url: str) -> None:
    async def test(world: World) -> None:
        gate = Gate(busy="reject")
        session = world.chat(gate.agent)
        async with world.engine(gate.agent) as engine:
            turn = await gate.begin(world, engine, session)
            with pytest.raises(Busy):
                _send(world, session, "too early", "u2")
            gate.open.set()
            assert await turn == "completed"
            _send(world, session, "now", "u3")
            assert await engine.run_turn("gated", session.id) == "completed"
        assert text_of(world.history(session)) == ["first", "begun done", "now", "begun done"]

    live(redis_url, test)


def _steered(provider: FakeProvider, gate: asyncio.Event, **options: Any) -> chat.Agent[Any]:
    @tool
    async def look() -> str:
        """Look."""
        await gate.wait()
        return "snow"

    @chat.agent("steered", tools=[look], **options)
    async def steered(turn: chat.Turn[Any]) -> Any:
        return stream_text("openai/fake", turn.messages, api_base=provider.url, api_key="none")

    return steered


_CALL: list[dict[str, Any]] = [
    {"tool": [{"index": 0, "id": "c1", "name": "look", "args": "{}"}]},
    {"finish": "tool_calls"},
]
_SAY: list[dict[str, Any]] = [{"content": "ok"}, {"finish": "stop"}]


async def _until_called(world: World, session: Session) -> None:
    await until(lambda: any(chunk["type"] == "tool-input-available" for chunk in world.chunks(session)))


@pytest.mark.filterwarnings(*LITELLM_WARNINGS)
@pytest.mark.parametrize("by", ["the sender", "the agent"])
def test_a_steered_message_enters_at_the_next_step(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner, by: str
) -> None:
    asked: list[tuple[int, int]] = []

    def should_inject(batch: chat.PendingBatch[Any]) -> bool:
        asked.append((len(batch.messages), batch.step_number))
        return True

    async def test(world: World) -> None:
        gate = asyncio.Event()
        options = {"pending_messages": chat.PendingMessages(should_inject=should_inject)} if by == "the agent" else {}
        agent = _steered(provider, gate, **options)
        session = world.chat(agent)
        provider.script(_CALL, _SAY, _SAY)
        async with world.engine(agent) as engine:
            world.say(session, "how is it?", "u1")
            turn = asyncio.create_task(engine.run_turn("steered", session.id))
            await _until_called(world, session)
            _send(world, session, "in the north", "s1", "steer" if by == "the sender" else None)
            gate.set()
            assert await turn == "completed"
            assert await engine.run_turn("steered", session.id) == "nothing to do"
            _, answer = world.history(session)
            kinds = [part["type"] for part in answer["parts"]]
            assert kinds == ["step-start", "tool-look", "steering-message", "step-start", "text"]
            assert answer["parts"][2] == {
                "type": "steering-message",
                "id": "s1",
                "parts": [{"type": "text", "text": "in the north"}],
            }
            assert fold_message(world.chunks(session)) == answer
            told = provider.requests[1].body["messages"]
            assert [message["role"] for message in told] == ["user", "assistant", "tool", "user"]
            # The next turn's model reads the same order.
            await world.turn(engine, session, "thanks", "u2")
            told = provider.requests[2].body["messages"]
            assert [message["role"] for message in told] == ["user", "assistant", "tool", "user", "assistant", "user"]

    with gateway(redis_url) as side:
        model_loop.run(test(World(redis_url, side)))
    assert asked == ([] if by == "the sender" else [(1, 1)])


@pytest.mark.filterwarnings(*LITELLM_WARNINGS)
def test_a_message_that_the_agent_does_not_inject_gets_its_own_turn(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner
) -> None:
    async def test(world: World) -> None:
        gate = asyncio.Event()
        agent = _steered(provider, gate, pending_messages=chat.PendingMessages(should_inject=lambda batch: False))
        session = world.chat(agent)
        provider.script(_CALL, _SAY, _SAY)
        async with world.engine(agent) as engine:
            world.say(session, "how is it?", "u1")
            turn = asyncio.create_task(engine.run_turn("steered", session.id))
            await _until_called(world, session)
            _send(world, session, "later", "s1")
            gate.set()
            assert await turn == "completed"
            assert await engine.run_turn("steered", session.id) == "completed"
        assert text_of(world.history(session)) == ["how is it?", "ok", "later", "ok"]

    with gateway(redis_url) as side:
        model_loop.run(test(World(redis_url, side)))


@pytest.mark.filterwarnings(*LITELLM_WARNINGS)
def test_what_is_injected_is_read_at_the_next_step_and_stays(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner
) -> None:
    @tool
    async def look() -> str:
        """Look."""
        await chat.inject([{"role": "user", "content": "by the way"}])
        await chat.inject("be brief")
        return "snow"

    @chat.agent("injecting", tools=[look], system="You help.")
    async def injecting(turn: chat.Turn[Any]) -> Any:
        return stream_text("openai/fake", turn.messages, api_base=provider.url, api_key="none")

    @injecting.on_turn_complete
    async def remember(event: chat.TurnComplete[Any]) -> None:
        if event.turn == 0:
            await chat.inject([{"role": "user", "content": "found later"}, {"role": "system", "content": "be kind"}])

    async def test(world: World) -> None:
        session = world.chat(injecting)
        provider.script(_CALL, _SAY, _SAY, _SAY)
        for at in range(3):
            async with world.engine(injecting, owner=f"w{at}") as engine:
                await world.turn(engine, session, f"question {at}", f"u{at}")
        answer = world.history(session)[1]
        assert [part["type"] for part in answer["parts"]][2] == "data-background-injected"
        assert fold_message([c for c in world.chunks(session) if c["type"] != "reset-step"]) is not None

    with gateway(redis_url) as side:
        model_loop.run(test(World(redis_url, side)))
    told = [[str(m.get("content")) for m in request.body["messages"]] for request in provider.requests]
    assert told[1] == ["You help.\n\nbe brief", "question 0", "None", "snow", "by the way"]
    assert told[2] == [
        "You help.\n\nbe kind", "question 0", "None", "snow", "by the way", "ok", "question 1", "found later"
    ]  # fmt: skip
    assert told[3][0] == "You help.", "instructions are for one answer"
    assert told[3][-3:] == ["found later", "ok", "question 2"]


@pytest.mark.filterwarnings(*LITELLM_WARNINGS)
def test_a_steered_message_is_not_read_twice_after_a_crash(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner
) -> None:
    async def test(world: World) -> None:
        gate = asyncio.Event()
        agent = _steered(provider, gate)
        session = world.chat(agent)
        provider.script(_CALL, [{"content": "dead"}, {"hang": True}], _CALL, _SAY)
        async with world.engine(agent) as one, world.engine(agent, owner="w2") as two:
            world.say(session, "how is it?", "u1")
            zombie = asyncio.create_task(one.run_turn("steered", session.id))
            await _until_called(world, session)
            _send(world, session, "in the north", "s1", "steer")
            gate.set()
            await until(lambda: any(chunk.get("delta") == "dead" for chunk in world.chunks(session)))
            expire_lease(world, session)
            assert await two.run_turn("steered", session.id) == "completed"
            assert await two.run_turn("steered", session.id) == "nothing to do"
            await one.renew()
            assert await zombie == "lost"
        answer = world.history(session)[1]
        assert [part["type"] for part in answer["parts"]].count("steering-message") == 1
        assert fold_message(world.chunks(session)) == answer

    with gateway(redis_url) as side:
        model_loop.run(test(World(redis_url, side)))
    for request in provider.requests[2:]:
        assert [message.get("content") for message in request.body["messages"]].count("in the north") == 1


@pytest.mark.filterwarnings(*LITELLM_WARNINGS)
@pytest.mark.parametrize("step", ["in its first step", "behind a step that is kept", "and was stopped"])
def test_merged_messages_stay_one_turn_when_its_worker_dies(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner, step: str
) -> None:
    async def test(world: World) -> None:
        gate = asyncio.Event()
        gate.set()
        agent = _steered(provider, gate)
        session = world.chat(agent)
        die = [{"content": "dead"}, {"hang": True}]
        provider.script(*([_CALL, die] if step == "behind a step that is kept" else [die]), _SAY, _SAY)
        async with world.engine(agent) as one, world.engine(agent, owner="w2") as two:
            for at in range(3):
                _send(world, session, f"part {at}", f"m{at}", "merge")
            zombie = asyncio.create_task(one.run_turn("steered", session.id))
            await until(lambda: any(chunk.get("delta") == "dead" for chunk in world.chunks(session)))
            _send(world, session, "later", "m3", "merge")
            if step == "and was stopped":
                world.stop(session)
                assert await zombie == "stopped"
                assert await two.run_turn("steered", session.id) == "completed"
            else:
                expire_lease(world, session)
                assert world.side.inbox.queue(session.id)[0].message_id == "m3", "what is merged is not to be changed"
                assert await two.run_turn("steered", session.id) == "completed"
                await one.renew()
                assert await zombie == "lost"
                assert await two.run_turn("steered", session.id) == "completed"
            assert await two.run_turn("steered", session.id) == "nothing to do"
        texts = text_of(world.history(session))
        first = "dead" if step == "and was stopped" else "ok"
        assert texts == ["part 0", "part 1", "part 2", first, "later", "ok"]

    with gateway(redis_url) as side:
        model_loop.run(test(World(redis_url, side)))
    users = [m["content"] for m in provider.requests[-2].body["messages"] if m["role"] == "user"]
    assert users == ["part 0", "part 1", "part 2"]
