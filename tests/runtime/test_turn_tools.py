"""Tools over several turns: calls that wait for people, answers that come twice or late (behaviours 49, 76-79, 83)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from chatagent import chat, client_tool, stream_text, tool
from chatagent.llm import ModelError, Tool
from chatagent.redis.session import Session
from chatagent.ui import fold_message
from tests.provider import LITELLM_WARNINGS, FakeProvider
from tests.redis.chat import gateway
from tests.runtime.test_recovery import expire_lease
from tests.runtime.world import World, live, text_of, until

pytestmark = pytest.mark.filterwarnings(*LITELLM_WARNINGS)

_SAY: list[dict[str, Any]] = [{"content": "ok"}, {"finish": "stop"}]
_DONE: list[dict[str, Any]] = [{"content": "done"}, {"finish": "stop"}]


def _call(name: str, call_id: str = "c1", arguments: str = "{}") -> list[dict[str, Any]]:
    return [{"tool": [{"index": 0, "id": call_id, "name": name, "args": arguments}]}, {"finish": "tool_calls"}]


@client_tool
def where() -> str:
    """Where the user is."""
    raise NotImplementedError


def _payment() -> tuple[Tool, list[int]]:
    """A tool that needs an approval, and the amounts that it was run with."""
    ran: list[int] = []

    @tool(needs_approval=True)
    async def pay(amount: int) -> str:
        """Pay."""
        ran.append(amount)
        return "paid"

    return pay, ran


def _agent(provider: FakeProvider, *tools: Any) -> chat.Agent[Any]:
    @chat.agent("handy", tools=tools)
    async def handy(turn: chat.Turn[Any]) -> Any:
        return stream_text("openai/fake", turn.messages, api_base=provider.url, api_key="none")

    return handy


def _run(redis_url: str, loop: asyncio.Runner, test: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    with gateway(redis_url) as side:
        loop.run(test(World(redis_url, side)))


def _answer(world: World, session: Session, part: dict[str, Any], message_id: str | None = None) -> None:
    """What a page sends when its user has answered: the assistant message, its call changed."""
    message = world.history(session)[-1]
    sent = {"id": message_id or message["id"], "role": "assistant", "parts": [part]}
    world.side.inbox.push(session.id, "message", {"trigger": "submit-message", "message": sent})


def _part(world: World, session: Session) -> dict[str, Any]:
    found: dict[str, Any] = next(part for part in world.history(session)[-1]["parts"] if "toolCallId" in part)
    return found


@pytest.mark.parametrize("message_id", [None, "regenerated"], ids=["same id", "another message id"])
def test_a_tool_without_a_body_waits_for_the_client_and_goes_on_in_the_same_message(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner, message_id: str | None
) -> None:
    async def test(world: World) -> None:
        agent = _agent(provider, where)
        session = world.chat(agent)
        provider.script(_call("where"), _SAY)
        async with world.engine(agent) as engine:
            await world.turn(engine, session, "where am I?")
            pending = _part(world, session)
            assert pending["state"] == "input-available"
            asked = world.history(session)[-1]["id"]
        async with world.engine(agent, owner="w2") as other:
            answered = {**pending, "state": "output-available", "output": "home"}
            _answer(world, session, answered, message_id)
            assert await other.run_turn(agent.id, session.id) == "completed"
        assert [message["id"] for message in world.history(session)] == ["u1", asked]
        assert text_of(world.history(session))[1] == "ok"
        assert _part(world, session)["output"] == "home"

    _run(redis_url, model_loop, test)


@pytest.mark.parametrize("approved", [True, False])
def test_an_approved_tool_runs_once_and_a_denied_one_never_however_often_the_answer_comes(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner, approved: bool
) -> None:
    pay, ran = _payment()

    async def test(world: World) -> None:
        agent = _agent(provider, pay)
        session = world.chat(agent)
        provider.script(_call("pay", arguments='{"amount": 7}'), _SAY)
        async with world.engine(agent) as engine:
            await world.turn(engine, session, "pay 7")
            asked = _part(world, session)
            assert asked["state"] == "approval-requested"
        yes = {**asked, "state": "approval-responded", "approval": {**asked["approval"], "approved": approved}}
        async with world.engine(agent, owner="w2") as other:
            for _ in range(3):
                _answer(world, session, yes)
            outcomes = [await other.run_turn(agent.id, session.id) for _ in range(3)]
            assert outcomes == ["completed", "waiting", "waiting"]
            assert ran == ([7] if approved else [])
            done = _part(world, session)
            assert done["state"] == ("output-available" if approved else "output-denied")
            # A stale answer of another kind changes nothing either.
            _answer(world, session, {**yes, "approval": {**asked["approval"], "approved": not approved}})
            await other.run_turn(agent.id, session.id)
            assert _part(world, session) == done
        assert ran == ([7] if approved else [])

    _run(redis_url, model_loop, test)


def test_an_approval_survives_the_worker_that_ran_its_tool(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner
) -> None:
    """Cold: the approved tool had finished when the worker died; it is not run again."""
    pay, ran = _payment()

    async def test(world: World) -> None:
        agent = _agent(provider, pay)
        session = world.chat(agent)
        provider.script(_call("pay", arguments='{"amount": 7}'), [{"hang": True}], _SAY)
        async with world.engine(agent) as one, world.engine(agent, owner="w2") as two:
            await world.turn(one, session, "pay 7")
            asked = _part(world, session)
            _answer(
                world,
                session,
                {**asked, "state": "approval-responded", "approval": {**asked["approval"], "approved": True}},
            )
            zombie = asyncio.create_task(one.run_turn(agent.id, session.id))
            await until(lambda: any(chunk["type"] == "tool-output-available" for chunk in world.chunks(session)))
            expire_lease(world, session)
            assert await two.run_turn(agent.id, session.id) == "completed"
            await one.renew()
            assert await zombie == "lost"
        assert ran == [7]
        assert text_of(world.history(session))[1] == "ok"

    _run(redis_url, model_loop, test)


def test_the_next_turn_too_reads_what_to_model_output_made_of_a_result(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner
) -> None:
    @tool(to_model_output=lambda output: f"{len(output)} rows")
    async def query() -> list[int]:
        """Query."""
        return [1, 2, 3]

    async def test(world: World) -> None:
        agent = _agent(provider, query)
        session = world.chat(agent)
        provider.script(_call("query"), _SAY, _SAY)
        async with world.engine(agent) as engine:
            await world.turn(engine, session, "query", "u1")
        async with world.engine(agent, owner="w2") as other:
            await world.turn(other, session, "and now?", "u2")
        assert _part_of_first(world, session)["output"] == [1, 2, 3]

    _run(redis_url, model_loop, test)
    told = [
        [message["content"] for message in request.body["messages"] if message["role"] == "tool"]
        for request in provider.requests
    ]
    assert told == [[], ["3 rows"], ["3 rows"]]


def _part_of_first(world: World, session: Session) -> dict[str, Any]:
    found: dict[str, Any] = next(part for part in world.history(session)[1]["parts"] if "toolCallId" in part)
    return found


def test_a_model_that_fails_mid_stream_leaves_its_partial_answer_to_the_hooks_and_the_next_turn(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner
) -> None:
    events: list[chat.TurnComplete[Any]] = []

    @chat.agent("noted")
    async def noted(turn: chat.Turn[Any]) -> Any:
        chat.response.write({"type": "data-note", "data": turn.number})
        return stream_text("openai/fake", turn.messages, api_base=provider.url, api_key="none")

    noted.on_turn_complete(events.append)

    async def test(world: World) -> None:
        session = world.chat(noted)
        provider.script([{"content": "half"}, {"error": {"message": "overloaded, key sk-1"}}], _SAY)
        async with world.engine(noted) as engine:
            assert await world.turn(engine, session, "one", "u1") == "failed"
            answer = world.history(session)[1]
            assert [part["type"] for part in answer["parts"]] == ["data-note", "step-start", "text"]
            assert fold_message(world.chunks(session)) == answer
            assert "sk-1" not in str(world.chunks(session))
            assert await world.turn(engine, session, "two", "u2") == "completed"

    _run(redis_url, model_loop, test)
    failed = events[0]
    assert failed.finish_reason == "error"
    assert isinstance(failed.error, ModelError)
    assert "sk-1" in str(failed.error)
    assert failed.response_message is not None
    assert text_of([failed.response_message]) == ["half"]
    told = [message["content"] for message in provider.requests[-1].body["messages"]]
    assert told == ["one", "half", "two"]


def test_no_record_of_one_chat_reaches_another(redis_url: str) -> None:
    @chat.agent("many")
    async def many(turn: chat.Turn[Any]) -> AsyncIterator[str]:
        for at in range(20):
            yield f"{turn.chat_id}:{at} "
            await asyncio.sleep(0)

    async def test(world: World) -> None:
        sessions = [world.chat(many, f"chat-{at}") for at in range(20)]
        async with world.engine(many) as engine:
            await asyncio.gather(*(world.turn(engine, session, session.chat_id) for session in sessions))
        for session in sessions:
            words = text_of(world.history(session))[1].split()
            assert words == [f"{session.chat_id}:{at}" for at in range(20)]
            assert {chunk["delta"].split(":")[0] for chunk in world.chunks(session) if "delta" in chunk} == {
                session.chat_id
            }

    live(redis_url, test)


def test_answered_messages_are_never_replayed_and_unanswered_ones_never_lost_after_two_crashes(redis_url: str) -> None:
    heard: list[tuple[str, int]] = []
    gates = [asyncio.Event(), asyncio.Event()]

    @chat.agent("twice")
    async def twice(turn: chat.Turn[Any]) -> AsyncIterator[str]:
        text = str(turn.messages[-1]["content"])
        heard.append((text, turn.attempt))
        yield f"{text} "
        if text == "two" and turn.attempt <= 2:
            await gates[turn.attempt - 1].wait()
        yield "answered"

    async def test(world: World) -> None:
        session = world.chat(twice)
        async with (
            world.engine(twice) as one,
            world.engine(twice, owner="w2") as two,
            world.engine(twice, owner="w3") as three,
        ):
            await world.turn(one, session, "one", "u1")
            world.say(session, "two", "u2")
            world.say(session, "three", "u3")

            def written() -> int:
                return [chunk.get("delta") for chunk in world.chunks(session)].count("two ")

            zombies = []
            for engine in (one, two):
                before = written()
                zombies.append(asyncio.create_task(engine.run_turn("twice", session.id)))
                # Its last write renewed the lease; from here on it writes nothing.
                await until(lambda: written() > before)  # noqa: B023
                expire_lease(world, session)
            assert await three.run_turn("twice", session.id) == "completed"
            assert await three.run_turn("twice", session.id) == "completed"
            assert await three.run_turn("twice", session.id) == "nothing to do"
            for gate in gates:
                gate.set()
            assert await asyncio.gather(*zombies) == ["lost", "lost"]
        texts = text_of(world.history(session))
        assert texts == ["one", "one answered", "two", "two answered", "three", "three answered"]

    live(redis_url, test)
    assert heard == [("one", 1), ("two", 1), ("two", 2), ("two", 3), ("three", 1)]


@pytest.mark.parametrize("approved", [True, False])
def test_an_approval_that_comes_after_a_later_message_runs_the_tool_once_and_goes_on_in_its_own_message(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner, approved: bool
) -> None:
    """AI SDK 6 and 7 send the earlier message with its id, and stream the answer into it."""
    pay, ran = _payment()

    async def test(world: World) -> None:
        agent = _agent(provider, pay)
        session = world.chat(agent)
        provider.script(_call("pay", arguments='{"amount": 7}'), _SAY, [{"hang": True}], _DONE, _SAY)
        async with world.engine(agent) as one, world.engine(agent, owner="w2") as two:
            await world.turn(one, session, "pay 7", "u1")
            asked = world.history(session)[1]
            await world.turn(one, session, "how are you?", "u2")
            before = world.history(session)
            (part,) = [part for part in asked["parts"] if "toolCallId" in part]
            yes = {**part, "state": "approval-responded", "approval": {**part["approval"], "approved": approved}}
            for _ in range(2):
                sent = {**asked, "parts": [yes]}
                payload = {"trigger": "submit-message", "message": sent, "messageId": asked["id"]}
                world.side.inbox.push(session.id, "message", payload)
            zombie = asyncio.create_task(one.run_turn(agent.id, session.id))
            await until(lambda: len(provider.requests) == 3)
            await until(lambda: any(chunk["type"].startswith("tool-output") for chunk in world.chunks(session)))
            expire_lease(world, session)
            assert await two.run_turn(agent.id, session.id) == "completed"
            assert await two.run_turn(agent.id, session.id) == "waiting"
            await one.renew()
            assert await zombie == "lost"
            after = world.history(session)
            assert [message["id"] for message in after] == [message["id"] for message in before]
            assert [after[0], *after[2:]] == [before[0], *before[2:]]
            assert text_of(after) == ["pay 7", "done", "how are you?", "ok"]
            (done,) = [part for part in after[1]["parts"] if "toolCallId" in part]
            assert done["state"] == ("output-available" if approved else "output-denied")
            starts = [chunk for chunk in world.chunks(session) if chunk["type"] == "start"]
            assert {chunk["messageId"] for chunk in starts} == {asked["id"]}, "the answer that came twice as well"
            await world.turn(two, session, "thanks", "u3")
        assert ran == ([7] if approved else [])

    _run(redis_url, model_loop, test)
    # The model goes on where it had asked, and reads all of it in its place later.
    roles = [[message["role"] for message in request.body["messages"]] for request in provider.requests]
    assert roles[3] == ["user", "assistant", "tool"]
    assert roles[4] == ["user", "assistant", "tool", "assistant", "user", "assistant", "user"]
