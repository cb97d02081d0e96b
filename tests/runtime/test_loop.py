from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel

from chatagent.agent.loop import ChatTaskPayload, custom_agent
from chatagent.agent.loop_message import (
    MessageAccumulator,
    create_stop_signal,
    messages,
    pipe_and_capture,
    write_turn_complete,
)
from chatagent.agent.loop_turn import LoopTurn, create_session
from chatagent.agent.turn import response
from chatagent.errors import ConfigError
from chatagent.runtime.engine import EngineOptions
from chatagent.runtime.turn import TurnOptions
from chatagent.signal import AbortSignal
from tests.runtime.test_recovery import expire_lease
from tests.runtime.world import World, live, text_of, until


def words(turn: LoopTurn) -> str:
    return str(turn.messages[-1]["content"])


def test_a_loop_keeps_its_variables_from_turn_to_turn(redis_url: str) -> None:
    continued: list[bool] = []

    @custom_agent("counting")
    async def counting(payload: ChatTaskPayload) -> None:
        count = 0
        async for turn in create_session(payload):
            count += 1
            continued.append(turn.continuation)
            await turn.complete(f"{count}: {words(turn)} of {len(turn.ui_messages)}")

    async def test(world: World) -> None:
        session = world.chat(counting)
        async with world.engine(counting) as engine:
            assert await world.turn(engine, session, "one", "u1") == "completed"
            assert await world.turn(engine, session, "two", "u2") == "completed"
        assert continued == [False, False], "it is the chat's first run"
        assert text_of(world.history(session)) == ["one", "1: one of 1", "two", "2: two of 3"]
        controls = [record.control for record in world.side.outbox.read(session.id, -1)]
        assert controls.count("turn-complete") == 2

    live(redis_url, test)


def test_after_a_deploy_the_function_is_called_anew_with_the_history(redis_url: str) -> None:
    payloads: list[ChatTaskPayload] = []
    ends: list[str] = []

    @custom_agent("continued")
    async def continued(payload: ChatTaskPayload) -> None:
        payloads.append(payload)
        async for turn in create_session(payload):
            await turn.complete(f"answer {turn.number}")
        ends.append("ended")

    async def test(world: World) -> None:
        session = world.chat(continued)
        async with world.engine(continued) as engine:
            await world.turn(engine, session, "one", "u1")
            assert ends == []
        assert ends == ["ended"]
        async with world.engine(continued, owner="w2") as engine:
            await world.turn(engine, session, "two", "u2")
        assert text_of(world.history(session)) == ["one", "answer 0", "two", "answer 1"]

    live(redis_url, test)
    first, second = payloads
    assert (first.continuation, first.previous_run_id, first.trigger) == (False, None, "submit-message")
    assert second.continuation
    assert second.previous_run_id == first.run_id != second.run_id, "a run that lost its variables is over"
    assert text_of(second.history) == ["one", "answer 0"]
    assert text_of(second.messages) == ["one", "answer 0", "two"]


def test_a_loop_that_raises_ends_its_turn_with_an_error_and_the_next_message_starts_it_anew(redis_url: str) -> None:
    starts: list[bool] = []

    @custom_agent("fragile")
    async def fragile(payload: ChatTaskPayload) -> None:
        starts.append(payload.continuation)
        async for turn in create_session(payload):
            if words(turn) == "bad":
                response.write({"type": "data-note", "data": 1})
                raise ValueError("no")
            await turn.complete("fine")

    async def test(world: World) -> None:
        session = world.chat(fragile)
        async with world.engine(fragile) as engine:
            assert await world.turn(engine, session, "bad", "u1") == "failed"
            assert world.chunks(session)[-1] == {"type": "error", "errorText": "An error occurred."}
            assert await world.turn(engine, session, "good", "u2") == "completed"
        assert text_of(world.history(session)) == ["bad", "", "good", "fine"]

    live(redis_url, test)
    assert starts == [False, True]


def test_a_source_that_fails_ends_its_turn_and_the_loop_goes_on(redis_url: str) -> None:
    starts: list[str] = []

    async def breaking() -> AsyncIterator[str]:
        yield "half"
        raise ValueError("no")

    @custom_agent("robust")
    async def robust(payload: ChatTaskPayload) -> None:
        starts.append(payload.run_id)
        async for turn in create_session(payload):
            answer = await turn.complete(breaking() if words(turn) == "bad" else "fine")
            assert text_of([answer]) == [text_of(turn.ui_messages)[-1]]

    async def test(world: World) -> None:
        session = world.chat(robust)
        async with world.engine(robust) as engine:
            assert await world.turn(engine, session, "bad", "u1") == "failed"
            assert await world.turn(engine, session, "good", "u2") == "completed"
        assert text_of(world.history(session)) == ["bad", "half", "good", "fine"]

    live(redis_url, test)
    assert len(starts) == 1


def test_a_stop_ends_the_source_and_the_loop_goes_on(redis_url: str) -> None:
    stops: list[bool] = []

    async def endless() -> AsyncIterator[str]:
        yield "half"
        await asyncio.Event().wait()

    @custom_agent("stoppable")
    async def stoppable(payload: ChatTaskPayload) -> None:
        async for turn in create_session(payload):
            await turn.complete(endless() if turn.number == 0 else "whole")
            stops.append(turn.stopped)

    async def test(world: World) -> None:
        session = world.chat(stoppable)
        async with world.engine(stoppable) as engine:
            running = asyncio.create_task(world.turn(engine, session, "one", "u1"))
            await until(lambda: any(chunk.get("delta") == "half" for chunk in world.chunks(session)))
            world.stop(session)
            assert await running == "stopped"
            assert world.chunks(session)[-1] == {"type": "abort"}
            assert await world.turn(engine, session, "two", "u2") == "completed"
        assert text_of(world.history(session)) == ["one", "half", "two", "whole"]

    live(redis_url, test)
    assert stops == [True, False]


def test_raw_primitives_make_the_same_loop_by_hand(redis_url: str) -> None:
    seen: list[list[str]] = []

    @custom_agent("raw")
    async def raw(payload: ChatTaskPayload, signal: AbortSignal) -> None:
        stop = create_stop_signal()
        conversation = MessageAccumulator()
        for turn in range(100):
            stop.reset()
            incoming = await conversation.add_incoming(payload.messages, payload.trigger, turn)
            seen.append([message["content"] for message in incoming])
            captured = await pipe_and_capture(f"answer {turn}", signal=AbortSignal.any(signal, stop.signal))
            assert captured.status == "complete"
            await conversation.add_response(captured)
            end = await write_turn_complete()
            assert int(end.last_event_id) > 0
            waited = await messages.wait_with_idle_timeout(idle_timeout_s=60, timeout_s=600)
            if waited.output is None:
                break
            payload = waited.output
        stop.cleanup()

    async def test(world: World) -> None:
        session = world.chat(raw)
        async with world.engine(raw) as engine:
            await world.turn(engine, session, "one", "u1")
            await world.turn(engine, session, "two", "u2")
            world.side.inbox.push(session.id, "message", {"trigger": "regenerate-message"})
            await engine.run_turn(session.agent, session.id)
        assert text_of(world.history(session)) == ["one", "answer 0", "two", "answer 2"]

    live(redis_url, test)
    assert seen == [["one"], ["one", "answer 0", "two"], ["one", "answer 0", "two"]]


def test_a_loop_that_waits_long_enough_ends_and_the_next_message_starts_another(redis_url: str) -> None:
    starts: list[bool] = []
    waits: list[bool] = []

    @custom_agent("impatient")
    async def impatient(payload: ChatTaskPayload) -> None:
        starts.append(payload.continuation)
        await pipe_and_capture("here")
        await write_turn_complete()
        waits.append((await messages.wait_with_idle_timeout(idle_timeout_s=0, timeout_s=0.05)).ok)

    async def test(world: World) -> None:
        session = world.chat(impatient)
        async with world.engine(impatient) as engine:
            await world.turn(engine, session, "one", "u1")
            await until(lambda: waits)
            await world.turn(engine, session, "two", "u2")
        assert text_of(world.history(session)) == ["one", "here", "two", "here"]

    live(redis_url, test)
    assert starts == [False, True]
    assert waits[0] is False


def test_max_turns_ends_the_iterator_and_the_next_message_starts_a_continuation(redis_url: str) -> None:
    runs: list[str] = []

    @custom_agent("brief")
    async def brief(payload: ChatTaskPayload) -> None:
        runs.append(payload.run_id)
        async for turn in create_session(payload, max_turns=2):
            await turn.complete(f"{len(runs)}")

    async def test(world: World) -> None:
        session = world.chat(brief)
        async with world.engine(brief) as engine:
            for number in range(3):
                await world.turn(engine, session, "hi", f"u{number}")
        assert text_of(world.history(session)) == ["hi", "1", "hi", "1", "hi", "2"]

    live(redis_url, test)
    assert len(set(runs)) == 2


def test_a_turn_may_be_piped_and_ended_by_hand(redis_url: str) -> None:
    @custom_agent("manual")
    async def manual(payload: ChatTaskPayload) -> None:
        async for turn in create_session(payload):
            captured = await pipe_and_capture("by hand")
            await turn.add_response(captured)
            assert text_of(turn.ui_messages)[-1] == "by hand"
            await turn.done()
            with pytest.raises(ConfigError, match="ended already"):
                await turn.done()

    async def test(world: World) -> None:
        session = world.chat(manual)
        async with world.engine(manual) as engine:
            await world.turn(engine, session, "one", "u1")
            await world.turn(engine, session, "two", "u2")
        assert text_of(world.history(session)) == ["one", "by hand", "two", "by hand"]

    live(redis_url, test)


def test_set_messages_replaces_what_is_stored(redis_url: str) -> None:
    @custom_agent("forgetful")
    async def forgetful(payload: ChatTaskPayload) -> None:
        async for turn in create_session(payload):
            await turn.set_messages(turn.ui_messages[-1:])
            await turn.complete(f"{len(turn.messages)}")

    async def test(world: World) -> None:
        session = world.chat(forgetful)
        async with world.engine(forgetful) as engine:
            await world.turn(engine, session, "one", "u1")
            await world.turn(engine, session, "two", "u2")
        assert text_of(world.history(session)) == ["two", "1"]

    live(redis_url, test)


def test_a_loop_that_returns_with_its_turn_open_ends_it(redis_url: str) -> None:
    runs: list[str] = []

    @custom_agent("once")
    async def once(payload: ChatTaskPayload) -> None:
        runs.append(payload.run_id)
        await pipe_and_capture("once")

    async def test(world: World) -> None:
        session = world.chat(once)
        async with world.engine(once) as engine:
            assert await world.turn(engine, session, "one", "u1") == "completed"
            assert await world.turn(engine, session, "two", "u2") == "completed"
        assert text_of(world.history(session)) == ["one", "once", "two", "once"]

    live(redis_url, test)
    assert len(runs) == 2


def test_client_data_is_the_authors_model_in_a_loop_too(redis_url: str) -> None:
    class Client(BaseModel):
        user_id: int

    users: list[Any] = []

    @custom_agent("typed", client_data=Client)
    async def typed(payload: ChatTaskPayload) -> None:
        async for turn in create_session(payload):
            users.append((payload.client_data.user_id, turn.client_data.user_id))
            await turn.complete("fine")

    async def test(world: World) -> None:
        session = world.chat(typed)
        async with world.engine(typed) as engine:
            world.say(session, "hi", "u1", metadata={"user_id": 7})
            assert await engine.run_turn(session.agent, session.id) == "completed"
            world.say(session, "hi", "u2", metadata={"user_id": "x"})
            assert await engine.run_turn(session.agent, session.id) == "failed"

    live(redis_url, test)
    assert users == [(7, 7)]


def test_a_preload_starts_the_loop_before_there_is_a_message(redis_url: str) -> None:
    triggers: list[str] = []

    @custom_agent("early")
    async def early(payload: ChatTaskPayload) -> None:
        triggers.append(payload.trigger)
        conversation = MessageAccumulator()
        if payload.trigger == "preload":
            waited = await messages.wait_with_warmup(warm_timeout_s=60, timeout_s=600)
            if waited.output is None:
                return
            payload = waited.output
        triggers.append(payload.trigger)
        await conversation.add_incoming(payload.messages, payload.trigger, 0)
        await pipe_and_capture(f"{len(conversation.ui_messages)}")
        await write_turn_complete()

    @custom_agent("early-session")
    async def early_session(payload: ChatTaskPayload) -> None:
        triggers.append(payload.trigger)
        async for turn in create_session(payload):
            triggers.append(turn.trigger)
            await turn.complete(f"{len(turn.ui_messages)}")

    async def test(world: World) -> None:
        for agent in (early, early_session):
            session = world.chat(agent, agent.id)
            async with world.engine(agent) as engine:
                world.side.inbox.push(session.id, "preload", {})
                await engine.run_turn(session.agent, session.id)
                assert world.history(session) == []
                await world.turn(engine, session, "hello", "u1")
            assert text_of(world.history(session)) == ["hello", "1"]

    live(redis_url, test)
    assert triggers == ["preload", "submit-message"] * 2


def test_an_action_is_handed_to_the_loop(redis_url: str) -> None:
    actions: list[Any] = []

    @custom_agent("acting")
    async def acting(payload: ChatTaskPayload) -> None:
        async for turn in create_session(payload):
            if turn.trigger == "action":
                actions.append(turn.action)
                await turn.set_messages([])
                await turn.done()
            else:
                await turn.complete("fine")

    async def test(world: World) -> None:
        session = world.chat(acting)
        async with world.engine(acting) as engine:
            await world.turn(engine, session, "one", "u1")
            world.side.inbox.push(session.id, "action", {"action": {"type": "clear"}})
            await engine.run_turn(session.agent, session.id)
            assert world.history(session) == []
            await world.turn(engine, session, "two", "u2")
        assert text_of(world.history(session)) == ["two", "fine"]

    live(redis_url, test)
    assert actions == [{"type": "clear"}]


def test_a_message_may_join_the_open_turn(redis_url: str) -> None:
    @custom_agent("joining")
    async def joining(payload: ChatTaskPayload) -> None:
        async for turn in create_session(payload):
            if turn.number == 0:
                assert not await messages.has_pending()
                await pipe_and_capture("first ")
                joined = await messages.next(timeout_s=30)
                assert joined is not None and joined.message is not None
                await pipe_and_capture("and " + text_of([joined.message])[0])
                assert await messages.next(timeout_s=0.01) is None
                await turn.done()
            else:
                await turn.complete("later")

    async def test(world: World) -> None:
        session = world.chat(joining)
        async with world.engine(joining) as engine:
            running = asyncio.create_task(world.turn(engine, session, "one", "u1"))
            await until(lambda: any(chunk.get("delta") == "first " for chunk in world.chunks(session)))
            world.say(session, "two", "u2")
            assert await running == "completed"
            assert await engine.run_turn(session.agent, session.id) == "nothing to do"
            await world.turn(engine, session, "three", "u3")
        assert text_of(world.history(session)) == ["one", "two", "first and two", "three", "later"]

    live(redis_url, test)


def test_a_loop_ends_when_its_worker_leaves_and_may_tidy_up(redis_url: str) -> None:
    tidied: list[str] = []

    @custom_agent("tidy")
    async def tidy(payload: ChatTaskPayload) -> None:
        try:
            async for turn in create_session(payload):
                await turn.complete("fine")
        finally:
            tidied.append("tidy")

    async def test(world: World) -> None:
        session = world.chat(tidy)
        async with world.engine(tidy) as engine:
            await world.turn(engine, session, "one", "u1")
            assert tidied == []

    live(redis_url, test)
    assert tidied == ["tidy"]


def test_a_running_loop_is_handed_back_and_goes_on_elsewhere_with_what_it_had_written(redis_url: str) -> None:
    async def half() -> AsyncIterator[Any]:
        yield {"type": "start-step"}
        yield {"type": "text-start", "id": "1"}
        yield {"type": "text-delta", "id": "1", "delta": "kept "}
        yield {"type": "text-end", "id": "1"}
        yield {"type": "finish-step"}
        yield {"type": "start-step"}
        yield {"type": "text-start", "id": "2"}
        yield {"type": "text-delta", "id": "2", "delta": "broken"}
        await asyncio.Event().wait()

    cancelled: list[bool] = []
    blocking = [True]

    @custom_agent("moved")
    async def moved(payload: ChatTaskPayload, signal: AbortSignal) -> None:
        try:
            async for turn in create_session(payload):
                await turn.complete(half() if blocking[0] else "done")
        except asyncio.CancelledError:
            cancelled.append(signal.aborted)
            raise

    async def test(world: World) -> None:
        session = world.chat(moved)
        options = EngineOptions(grace_s=0.05)
        async with world.engine(moved, options=options) as engine:
            running = asyncio.create_task(world.turn(engine, session, "one", "u1"))
            await until(lambda: any(chunk.get("delta") == "broken" for chunk in world.chunks(session)))
        assert await running == "handed back"
        assert cancelled == [True]
        blocking[0] = False
        async with world.engine(moved, owner="w2") as engine:
            assert await engine.run_turn(session.agent, session.id) == "completed"
        assert text_of(world.history(session)) == ["one", "kept done"]

    live(redis_url, test)


def test_a_loop_that_lost_its_chat_is_ended_and_another_process_goes_on(redis_url: str) -> None:
    ended: list[str] = []

    @custom_agent("contested")
    async def contested(payload: ChatTaskPayload, signal: AbortSignal) -> None:
        try:
            async for turn in create_session(payload):
                if turn.number == 1 and not ended:
                    await pipe_and_capture("dead")
                    await asyncio.Event().wait()
                await turn.complete("alive")
        finally:
            ended.append(f"{signal.aborted}")

    async def test(world: World) -> None:
        session = world.chat(contested)
        async with world.engine(contested) as one, world.engine(contested, owner="w2") as two:
            await world.turn(one, session, "one", "u1")
            zombie = asyncio.create_task(world.turn(one, session, "two", "u2"))
            await until(lambda: any(chunk.get("delta") == "dead" for chunk in world.chunks(session)))
            expire_lease(world, session)
            ended.append("taken over")
            assert await two.run_turn(session.agent, session.id) == "completed"
            await one.renew()
            assert await zombie == "lost"
            assert ended == ["taken over", "True"]
            # What is left of it there does not answer the next message with stale variables.
            await world.turn(one, session, "three", "u3")
        assert text_of(world.history(session)) == ["one", "alive", "two", "alive", "three", "alive"]

    live(redis_url, test)


def test_a_waiting_loop_that_was_overtaken_ends(redis_url: str) -> None:
    starts: list[int] = []
    ends: list[int] = []

    @custom_agent("overtaken")
    async def overtaken(payload: ChatTaskPayload) -> None:
        starts.append(payload.turn)
        async for turn in create_session(payload):
            await turn.complete(f"{len(turn.ui_messages)}")
        ends.append(payload.turn)

    async def test(world: World) -> None:
        session = world.chat(overtaken)
        async with world.engine(overtaken) as one, world.engine(overtaken, owner="w2") as two:
            await world.turn(one, session, "one", "u1")
            await world.turn(two, session, "two", "u2")
            await world.turn(one, session, "three", "u3")
            await until(lambda: ends)
            assert (starts, ends) == ([0, 1, 2], [0])
        assert text_of(world.history(session)) == ["one", "1", "two", "3", "three", "5"]

    live(redis_url, test)


def test_messages_that_queue_up_are_served_by_the_same_loop(redis_url: str) -> None:
    @custom_agent("queueing")
    async def queueing(payload: ChatTaskPayload) -> None:
        count = 0
        async for turn in create_session(payload):
            count += 1
            await turn.complete(f"{count}")

    async def test(world: World) -> None:
        session = world.chat(queueing)
        async with world.engine(queueing) as engine:
            for number in range(3):
                world.say(session, "hi", f"u{number}")
            for number in range(3):
                assert await engine.run_turn(session.agent, session.id) == "completed"
                assert len(world.sent) == min(number + 1, 2)
        assert text_of(world.history(session)) == ["hi", "1", "hi", "2", "hi", "3"]

    live(redis_url, test)


def test_a_loop_that_does_not_heed_a_stop_is_ended(redis_url: str) -> None:
    starts: list[str] = []

    @custom_agent("deaf")
    async def deaf(payload: ChatTaskPayload) -> None:
        starts.append("start")
        async for turn in create_session(payload):
            if turn.number == 0:
                await pipe_and_capture("half")
                await asyncio.Event().wait()
            await turn.complete("whole")

    async def test(world: World) -> None:
        session = world.chat(deaf)
        async with world.engine(deaf) as engine:
            running = asyncio.create_task(world.turn(engine, session, "one", "u1"))
            await until(lambda: any(chunk.get("delta") == "half" for chunk in world.chunks(session)))
            world.stop(session)
            assert await running == "stopped"
            assert await world.turn(engine, session, "two", "u2") == "completed"
        assert text_of(world.history(session)) == ["one", "half", "two", "whole"]

    live(redis_url, test)
    assert len(starts) == 2


def test_a_custom_agent_must_be_a_coroutine_function_without_hooks() -> None:
    with pytest.raises(ConfigError, match="async def"):

        @custom_agent("plain")
        def plain(payload: ChatTaskPayload) -> Any: ...

    with pytest.raises(ConfigError, match="no hooks"):

        @custom_agent("hooked", on_turn_start=lambda event: None)
        async def hooked(payload: ChatTaskPayload) -> None: ...


def test_primitives_outside_of_a_loop_say_where_they_belong() -> None:
    with pytest.raises(ConfigError, match="no loop here"):
        asyncio.run(write_turn_complete())
    assert TurnOptions().max_attempts == 3


def test_the_accumulator_collects_what_the_protocol_sends() -> None:
    def user(id: str, text: str) -> dict[str, Any]:
        return {"id": id, "role": "user", "parts": [{"type": "text", "text": text}]}

    def answer(id: str, text: str) -> dict[str, Any]:
        return {"id": id, "role": "assistant", "parts": [{"type": "text", "text": text, "state": "done"}]}

    async def test() -> None:
        conversation = MessageAccumulator([user("x", "replaced")])
        assert await conversation.add_incoming([user("u1", "one")], "submit-message", 0) == [
            {"role": "user", "content": "one"}
        ]
        await conversation.add_response(answer("a1", "1"))
        await conversation.add_response(answer("a1", "1 again"))
        await conversation.add_response(None)
        await conversation.add_incoming(user("u2", "two"), "submit-message", 1)
        assert text_of(conversation.ui_messages) == ["one", "1 again", "two"]
        conversation.steer(user("u3", "three"))
        assert conversation.drain_steering() == [{"role": "user", "content": "three"}]
        assert conversation.drain_steering() == []
        assert text_of(conversation.ui_messages)[-1] == "three"
        await conversation.add_incoming([user("u2", "edited")], "submit-message", 2)
        assert text_of(conversation.ui_messages) == ["one", "1 again", "edited"]
        await conversation.add_incoming([user("u1", "one")], "regenerate-message", 3)
        assert text_of(conversation.ui_messages) == ["one"]
        await conversation.set_messages([])
        assert conversation.model_messages == []

    asyncio.run(test())
