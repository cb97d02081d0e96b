from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from chatagent import chat
from chatagent.runtime.engine import EngineOptions
from chatagent.runtime.turn import TurnOptions
from chatagent.ui import fold_message
from tests.runtime.world import World, live, text_of, until


@chat.agent("echo")
async def echo(turn: chat.Turn[Any]) -> str:
    return f"you said {turn.messages[-1]['content']}"


def test_a_message_is_answered_and_stored_as_browsers_hold_it(redis_url: str) -> None:
    async def test(world: World) -> None:
        session = world.chat(echo)
        async with world.engine(echo) as engine:
            assert await world.turn(engine, session, "hello") == "completed"
        user, answer = world.history(session)
        assert user == {"id": "u1", "role": "user", "parts": [{"type": "text", "text": "hello"}]}
        assert answer["parts"] == [
            {"type": "step-start"},
            {"type": "text", "text": "you said hello", "state": "done"},
        ]
        chunks = world.chunks(session)
        assert fold_message(chunks) == answer
        assert [chunk["type"] for chunk in chunks] == [
            "start",
            "start-step",
            "text-start",
            "text-delta",
            "text-end",
            "finish-step",
            "finish",
        ]
        controls = [record.control for record in world.side.outbox.read(session.id, -1)]
        assert controls == ["turn-start", *[None] * 7, "turn-complete"]

    live(redis_url, test)


def test_the_next_turn_sees_the_whole_conversation_warm_and_cold(redis_url: str) -> None:
    seen: list[list[str]] = []

    @chat.agent("memory")
    async def memory(turn: chat.Turn[Any]) -> str:
        seen.append([message["content"] for message in turn.messages])
        return f"answer {turn.number}"

    async def test(world: World) -> None:
        session = world.chat(memory)
        async with world.engine(memory) as engine:
            await world.turn(engine, session, "one", "u1")
            await world.turn(engine, session, "two", "u2")
        async with world.engine(memory, owner="w2") as other:
            await world.turn(other, session, "three", "u3")
        assert text_of(world.history(session)) == ["one", "answer 0", "two", "answer 1", "three", "answer 2"]

    live(redis_url, test)
    assert seen[0] == ["one"]
    assert seen[1] == ["one", "answer 0", "two"]
    assert seen[2] == ["one", "answer 0", "two", "answer 1", "three"]


def test_generators_of_any_colour_stream(redis_url: str) -> None:
    @chat.agent("async-words")
    async def async_words(turn: chat.Turn[Any]) -> AsyncIterator[str]:
        for word in ("a ", "b ", "c"):
            yield word

    @chat.agent("sync-words")
    def sync_words(turn: chat.Turn[Any]) -> Iterator[str | dict[str, Any]]:
        yield "a "
        yield {"type": "data-note", "data": {"n": 1}}
        yield "b c"

    @chat.agent("plain")
    def plain(turn: chat.Turn[Any]) -> str:
        return "a b c"

    async def test(world: World) -> None:
        async with world.engine(async_words, sync_words, plain) as engine:
            for agent in (async_words, sync_words, plain):
                session = world.chat(agent, agent.id)
                assert await world.turn(engine, session) == "completed"
                assert text_of(world.history(session))[1] == "a b c", agent.id

    live(redis_url, test)


def test_hooks_run_in_order_around_the_turn_and_start_once_per_chat(redis_url: str) -> None:
    calls: list[str] = []

    @chat.agent("hooked")
    async def hooked(turn: chat.Turn[Any]) -> str:
        calls.append("run")
        return "done"

    @hooked.on_chat_start
    async def chat_start(event: chat.ChatStart[Any]) -> None:
        calls.append(f"chat start {event.chat_id}")

    @hooked.on_turn_start
    def turn_start(event: chat.TurnStart[Any]) -> None:
        calls.append(f"turn start {event.turn} with {len(event.ui_messages)}")

    @hooked.on_turn_complete
    async def turn_complete(event: chat.TurnComplete[Any]) -> None:
        stored = len(world_of[0].history(session_of[0]))
        calls.append(f"turn complete {event.turn}: {stored} stored, {len(event.new_ui_messages)} new")

    world_of: list[World] = []
    session_of: list[Any] = []

    async def test(world: World) -> None:
        session = world.chat(hooked)
        world_of.append(world)
        session_of.append(session)
        async with world.engine(hooked) as engine:
            await world.turn(engine, session, "one", "u1")
            await world.turn(engine, session, "two", "u2")

    live(redis_url, test)
    assert calls == [
        "chat start c1",
        "turn start 0 with 1",
        "run",
        "turn complete 0: 2 stored, 2 new",
        "turn start 1 with 3",
        "run",
        "turn complete 1: 4 stored, 2 new",
    ]


def test_client_data_is_the_authors_model_and_bad_data_is_an_error(redis_url: str) -> None:
    class Client(BaseModel):
        user_id: int

    users: list[int] = []

    @chat.agent("typed", client_data=Client)
    async def typed(turn: chat.Turn[Client]) -> str:
        users.append(turn.client_data.user_id)
        return "ok"

    async def test(world: World) -> None:
        session = world.chat(typed)
        async with world.engine(typed) as engine:
            world.say(session, metadata={"user_id": 7})
            assert await engine.run_turn("typed", session.id) == "completed"
            world.say(session, "again", "u2", metadata={"user_id": "many"})
            assert await engine.run_turn("typed", session.id) == "failed"
        assert "metadata.user_id" in world.chunks(session)[-1]["errorText"]

    live(redis_url, test)
    assert users == [7]


def test_an_agent_that_raises_ends_its_turn_with_a_masked_error_and_the_chat_lives_on(redis_url: str) -> None:
    errors: list[Any] = []

    @chat.agent("shaky")
    async def shaky(turn: chat.Turn[Any]) -> AsyncIterator[str]:
        yield "so far"
        if turn.number == 0:
            raise RuntimeError("password is hunter2")

    @shaky.on_turn_complete
    async def complete(event: chat.TurnComplete[Any]) -> None:
        errors.append((type(event.error), event.finish_reason, len(event.ui_messages)))

    async def test(world: World) -> None:
        session = world.chat(shaky)
        async with world.engine(shaky) as engine:
            assert await world.turn(engine, session) == "failed"
            chunks = world.chunks(session)
            assert chunks[-1] == {"type": "error", "errorText": "An error occurred."}
            assert chunks[-2]["type"] == "text-end", "parts are closed before the error"
            assert text_of(world.history(session)) == ["hi", "so far"]
            assert await world.turn(engine, session, "again", "u2") == "completed"
        assert text_of(world.history(session)) == ["hi", "so far", "again", "so far"]

    live(redis_url, test)
    assert errors == [(RuntimeError, "error", 2), (type(None), "stop", 4)]


def test_a_stop_ends_a_generator_and_keeps_what_was_said(redis_url: str) -> None:
    closed: list[str] = []

    @chat.agent("endless")
    async def endless(turn: chat.Turn[Any]) -> AsyncIterator[str]:
        try:
            while True:
                yield "word "
                await asyncio.sleep(0.005)
        finally:
            closed.append("closed")

    async def test(world: World) -> None:
        session = world.chat(endless)
        async with world.engine(endless) as engine:
            world.say(session)
            turn = asyncio.create_task(engine.run_turn("endless", session.id))
            await until(lambda: any(chunk["type"] == "text-delta" for chunk in world.chunks(session)))
            world.stop(session)
            world.stop(session)
            assert await turn == "stopped"
            chunks = world.chunks(session)
            assert chunks[-1] == {"type": "abort"}
            assert world.history(session)[1] == fold_message(chunks)
            assert world.history(session)[1]["parts"][1]["state"] == "done"
            await until(lambda: closed)

    live(redis_url, test)


def test_a_stop_ends_code_that_does_not_heed_its_signal(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatagent.runtime.call.STOP_GRACE_S", 0.05)

    @chat.agent("deaf")
    async def deaf(turn: chat.Turn[Any]) -> None:
        chat.response.write({"type": "data-note", "data": 1})
        await asyncio.sleep(3600)

    async def test(world: World) -> None:
        session = world.chat(deaf)
        async with world.engine(deaf) as engine:
            world.say(session)
            turn = asyncio.create_task(engine.run_turn("deaf", session.id))
            await until(lambda: len(world.chunks(session)) == 2)
            world.stop(session)
            assert await turn == "stopped"

    live(redis_url, test)


def test_a_turn_that_was_stopped_before_it_began_is_not_run(redis_url: str) -> None:
    async def test(world: World) -> None:
        session = world.chat(echo)
        async with world.engine(echo) as engine:
            world.say(session, "first", "u1")
            world.stop(session)
            world.say(session, "second", "u2")
            assert await engine.run_turn("echo", session.id) == "stopped"
            assert world.sent == [("echo", session.id, "queue.w1")], "the second message gets its own turn"
            assert await engine.run_turn("echo", session.id) == "completed"
        assert text_of(world.history(session)) == ["first", "", "second", "you said second"]

    live(redis_url, test)


def test_a_poisonous_message_is_given_up_after_its_attempts(redis_url: str) -> None:
    async def test(world: World) -> None:
        session = world.chat(echo)
        world.say(session)
        world.side.client.hset(f"test:{{{session.id}}}:session", mapping={"turn_seq": 0, "attempts": 3})
        options = EngineOptions(turn=TurnOptions(max_attempts=3))
        async with world.engine(echo, options=options) as engine:
            assert await engine.run_turn("echo", session.id) == "failed"
            assert world.chunks(session)[-1]["type"] == "error"
            assert await world.turn(engine, session, "next", "u2") == "completed"

    live(redis_url, test)


def test_a_message_that_breaks_our_own_code_cannot_loop_for_ever(redis_url: str) -> None:
    async def test(world: World) -> None:
        session = world.chat(echo)
        world.side.inbox.push(session.id, "message", {"trigger": "submit-message", "message": {"role": "user"}})
        world.say(session, "next", "u2")
        world.side.client.hset(f"test:{{{session.id}}}:session", mapping={"turn_seq": 0, "attempts": 4})
        async with world.engine(echo) as engine:
            assert await engine.run_turn("echo", session.id) == "failed"
            assert await engine.run_turn("echo", session.id) == "completed"
        assert text_of(world.history(session)[1:]) == ["next", "you said next"]

    live(redis_url, test)


def test_pipe_and_response_work_from_any_depth(redis_url: str) -> None:
    async def deep() -> None:
        chat.response.write({"type": "data-status", "id": "s", "data": "begin"})
        message = await chat.pipe("deep words")
        chat.response.write({"type": "data-status", "id": "s", "data": len(message["parts"])})
        chat.response.write({"type": "data-blink", "data": 1, "transient": True})

    @chat.agent("deep")
    async def agent(turn: chat.Turn[Any]) -> None:
        await deep()

    async def test(world: World) -> None:
        session = world.chat(agent)
        async with world.engine(agent) as engine:
            assert await world.turn(engine, session) == "completed"
        kinds = [chunk["type"] for chunk in world.chunks(session)]
        assert kinds.count("start") == kinds.count("finish") == 1
        assert "data-blink" in kinds
        assert world.history(session)[1]["parts"] == [
            {"type": "data-status", "id": "s", "data": 3},
            {"type": "step-start"},
            {"type": "text", "text": "deep words", "state": "done"},
        ]

    live(redis_url, test)


def test_a_chunk_that_clients_would_refuse_fails_the_turn_and_is_not_sent(redis_url: str) -> None:
    @chat.agent("wrong")
    async def wrong(turn: chat.Turn[Any]) -> AsyncIterator[dict[str, Any]]:
        yield {"type": "text-start", "id": None}

    async def test(world: World) -> None:
        session = world.chat(wrong)
        async with world.engine(wrong) as engine:
            assert await world.turn(engine, session) == "failed"
        assert [chunk["type"] for chunk in world.chunks(session)] == ["start", "error"]

    live(redis_url, test)


def test_regenerate_and_edit_cut_the_history(redis_url: str) -> None:
    async def test(world: World) -> None:
        session = world.chat(echo)
        async with world.engine(echo) as engine:
            await world.turn(engine, session, "one", "u1")
            await world.turn(engine, session, "two", "u2")
            world.side.inbox.push(session.id, "message", {"trigger": "regenerate-message"})
            await engine.run_turn("echo", session.id)
            assert text_of(world.history(session)) == ["one", "you said one", "two", "you said two"]
            world.say(session, "ONE", "u1", messageId="u1")
            await engine.run_turn("echo", session.id)
        assert text_of(world.history(session)) == ["ONE", "you said ONE"]

    live(redis_url, test)


def test_a_file_that_no_model_takes_fails_its_own_turn_and_none_after(redis_url: str) -> None:
    async def test(world: World) -> None:
        session = world.chat(echo)
        archive = {
            "type": "file",
            "mediaType": "application/zip",
            "url": "data:application/zip;base64,AA==",
            "filename": "a.zip",
        }
        message = {"id": "u1", "role": "user", "parts": [archive]}
        async with world.engine(echo) as engine:
            world.side.inbox.push(session.id, "message", {"trigger": "submit-message", "message": message})
            assert await engine.run_turn("echo", session.id) == "failed"
            assert "application/zip" in world.chunks(session)[-1]["errorText"]
            assert await world.turn(engine, session, "next", "u2") == "completed"

    live(redis_url, test)


def test_half_a_character_from_a_client_harms_nothing(redis_url: str) -> None:
    async def test(world: World) -> None:
        session = world.chat(echo)
        async with world.engine(echo) as engine:
            assert await world.turn(engine, session, "half \ud83d") == "completed"
            assert text_of(world.history(session))[0] == "half \ud83d"
        async with world.engine(echo, owner="w2") as cold:
            assert await world.turn(cold, session, "next", "u2") == "completed"

    live(redis_url, test)


def test_two_hundred_messages_are_answered_one_at_a_time_in_order(redis_url: str) -> None:
    running = 0
    overlaps: list[int] = []

    @chat.agent("serial")
    async def serial(turn: chat.Turn[Any]) -> str:
        nonlocal running
        running += 1
        overlaps.append(running)
        await asyncio.sleep(0)
        running -= 1
        return f"re {turn.messages[-1]['content']}"

    async def test(world: World) -> None:
        session = world.chat(serial)
        async with world.engine(serial) as engine:
            for n in range(200):
                world.say(session, str(n), f"u{n}")
            while world.side.sessions.get(session.id).status != "idle":
                await asyncio.gather(*[engine.run_turn("serial", session.id) for _ in range(3)])
        assert text_of(world.history(session)) == [text for n in range(200) for text in (str(n), f"re {n}")]

    live(redis_url, test)
    assert max(overlaps) == 1
    assert len(overlaps) == 200
