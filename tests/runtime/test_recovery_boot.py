"""What an author may do with half an answer (behaviours 64-67, 71), and what happens by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from chatagent import chat
from chatagent.ui import fold_message
from tests.redis.chat import submit
from tests.runtime.test_recovery import expire_lease
from tests.runtime.world import World, live, text_of, until


def _speaker() -> chat.Agent[Any]:
    @chat.agent("speaker")
    async def speaker(turn: chat.Turn[Any]) -> AsyncIterator[Any]:
        yield {"type": "start-step"}
        yield {"type": "text-start", "id": "t"}
        yield {"type": "text-delta", "id": "t", "delta": f"attempt {turn.attempt}"}
        if turn.number == 0 and turn.attempt == 1:
            yield {"type": "tool-input-available", "toolCallId": "c1", "toolName": "look", "input": {"n": 1}}
            await asyncio.Event().wait()
        yield {"type": "text-end", "id": "t"}
        yield {"type": "finish-step"}

    return speaker


async def _crash(world: World, agent: chat.Agent[Any], follow_up: bool = False) -> tuple[Any, str]:
    """A worker dies with half an answer; another goes on. Gives the session and how that ended."""
    session = world.chat(agent)
    async with world.engine(agent) as one, world.engine(agent, owner="w2") as two:
        world.say(session, "question", "u1")
        zombie = asyncio.create_task(one.run_turn(agent.id, session.id))
        await until(lambda: any(chunk["type"] == "tool-input-available" for chunk in world.chunks(session)))
        if follow_up:
            world.side.inbox.push(session.id, "message", submit("follow-up", "u2"))
        expire_lease(world, session)
        outcome = await two.run_turn(agent.id, session.id)
        if follow_up and world.side.sessions.get("c1").status == "queued":
            await two.run_turn(agent.id, session.id)
        await one.renew()
        assert await zombie == "lost"
    return session, outcome


def test_by_default_a_broken_first_step_is_dropped_and_the_question_answered_afresh(redis_url: str) -> None:
    async def test(world: World) -> None:
        session, outcome = await _crash(world, _speaker())
        assert outcome == "completed"
        assert text_of(world.history(session)) == ["question", "attempt 2"]

    live(redis_url, test)


def test_a_follow_up_is_answered_after_the_interrupted_question(redis_url: str) -> None:
    async def test(world: World) -> None:
        session, _ = await _crash(world, _speaker(), follow_up=True)
        assert text_of(world.history(session)) == ["question", "attempt 2", "follow-up", "attempt 1"]

    live(redis_url, test)


def test_the_event_tells_what_was_settled_asked_and_left_open(redis_url: str) -> None:
    seen: list[chat.RecoveryBoot[Any]] = []

    async def test(world: World) -> None:
        agent = _speaker()
        agent.on_recovery_boot(lambda event: seen.append(event))
        await _crash(world, agent)

    live(redis_url, test)
    (event,) = seen
    assert event.cause == "crashed"
    assert event.settled_messages == []
    assert [message["id"] for message in event.in_flight_users] == ["u1"]
    assert event.previous_run_id is not None


def test_it_does_not_fire_without_a_partial_answer(redis_url: str) -> None:
    seen: list[Any] = []

    @chat.agent("early")
    async def early(turn: chat.Turn[Any]) -> str:
        return "fine"

    early.on_recovery_boot(lambda event: seen.append(event))

    async def test(world: World) -> None:
        session = world.chat(early)
        async with world.engine(early) as engine:
            world.say(session)
            world.side.client.hset(f"test:{{{session.id}}}:session", mapping={"turn_seq": 0, "attempts": 1})
            assert await engine.run_turn("early", session.id) == "completed"
        assert text_of(world.history(session)) == ["hi", "fine"]

    live(redis_url, test)
    assert seen == []


@pytest.mark.parametrize("fails", [False, True])
def test_before_boot_runs_first_and_its_failure_is_fatal(redis_url: str, fails: bool) -> None:
    calls: list[str] = []

    def before() -> None:
        calls.append("before boot")
        if fails:
            raise RuntimeError("no database")

    async def test(world: World) -> None:
        agent = _speaker()
        agent.on_recovery_boot(lambda event: chat.Recovery(before_boot=before))
        agent.on_turn_start(lambda event: calls.append("turn start") if event.ctx.attempt > 1 else None)
        _, outcome = await _crash(world, agent)
        assert outcome == ("failed" if fails else "completed")

    live(redis_url, test)
    assert calls == (["before boot"] if fails else ["before boot", "turn start"])


@pytest.mark.parametrize("answer", ["raises", {"chain": []}])
def test_where_the_hook_fails_the_default_holds(redis_url: str, answer: Any) -> None:
    def decide(event: chat.RecoveryBoot[Any]) -> Any:
        if answer == "raises":
            raise RuntimeError("no database")
        return answer

    async def test(world: World) -> None:
        agent = _speaker()
        agent.on_recovery_boot(decide)
        session, outcome = await _crash(world, agent, follow_up=True)
        assert outcome == "completed"
        assert text_of(world.history(session)) == ["question", "attempt 2", "follow-up", "attempt 1"]

    live(redis_url, test)


def _keep_partial(event: chat.RecoveryBoot[Any]) -> chat.Recovery:
    partial = chat.cleanup_aborted_parts(event.partial_assistant)
    return chat.Recovery(chain=[*event.settled_messages, event.in_flight_users[0], partial], recovered_turns=[])


def _answer_again(event: chat.RecoveryBoot[Any]) -> chat.Recovery:
    return chat.Recovery(chain=event.settled_messages, recovered_turns=event.in_flight_users)


@pytest.mark.parametrize(
    ("decide", "texts"),
    [(_keep_partial, ["question", "attempt 1"]), (_answer_again, ["question", "attempt 2"])],
    ids=["keep", "again"],
)
def test_the_author_may_keep_the_partial_answer_or_have_it_answered_again(
    redis_url: str, decide: Callable[[chat.RecoveryBoot[Any]], chat.Recovery], texts: list[str]
) -> None:
    async def test(world: World) -> None:
        agent = _speaker()
        agent.on_recovery_boot(decide)
        session, outcome = await _crash(world, agent)
        assert outcome == "completed"
        assert text_of(world.history(session)) == texts
        if decide is _answer_again:
            assert fold_message(world.chunks(session)) == world.history(session)[1]

    live(redis_url, test)
