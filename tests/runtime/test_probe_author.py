"""What a stranger writes into hooks and agents of either colour, and what becomes of it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel

from chatagent import chat
from chatagent.errors import BadRequest, Closed, ConfigError
from chatagent.redis.session import Session
from tests.runtime.world import World, live, text_of, until


class Client(BaseModel):
    user_id: str = "nobody"


def test_what_a_plain_agent_writes_reaches_clients_while_it_still_works(redis_url: str) -> None:
    looking, released = threading.Event(), threading.Event()
    loops: list[bool] = []

    @chat.agent("plain")
    def plain(turn: chat.Turn[Any]) -> str:
        assert looking.wait(60)
        chat.response.write({"type": "data-progress", "data": {"percent": 50}})
        loops.append(released.wait(60))
        return "done"

    async def test(world: World) -> None:
        session = world.chat(plain)
        async with world.engine(plain) as engine:
            world.say(session)
            turn = asyncio.create_task(engine.run_turn("plain", session.id))
            await asyncio.to_thread(_wait_for_part, world, session, looking)
            released.set()
            assert await turn == "completed"
        assert loops == [True]

    live(redis_url, test)


def _wait_for_part(world: World, session: Session, looking: threading.Event) -> None:
    """Looks without waking the loop."""
    looking.set()
    until_s = time.monotonic() + 30
    while not any(chunk["type"] == "data-progress" for chunk in world.chunks(session)):
        assert time.monotonic() < until_s, "the part did not arrive while the agent worked"
        time.sleep(0.02)


def test_a_chunk_that_a_plain_hook_may_not_write_is_its_own_exception(redis_url: str) -> None:
    caught: list[BaseException] = []

    @chat.agent("checked")
    def checked(turn: chat.Turn[Any]) -> str:
        try:
            chat.response.write({"type": "nonsense"})
        except BadRequest as error:
            caught.append(error)
        return "done"

    async def test(world: World) -> None:
        session = world.chat(checked)
        async with world.engine(checked) as engine:
            assert await world.turn(engine, session) == "completed"
        assert len(caught) == 1

    live(redis_url, test)


def test_plain_code_may_wait_for_what_is_asynchronous(redis_url: str) -> None:
    @chat.agent("waits")
    def waits(turn: chat.Turn[Any]) -> None:
        message = chat.wait(chat.pipe("piped from a thread"))
        assert message["parts"][-1]["text"] == "piped from a thread"

    @waits.on_turn_start
    def inject(event: chat.TurnStart[Any]) -> None:
        chat.wait(chat.inject("Be brief."))

    async def test(world: World) -> None:
        session = world.chat(waits)
        async with world.engine(waits) as engine:
            assert await world.turn(engine, session) == "completed"
        assert text_of(world.history(session))[-1] == "piped from a thread"

    live(redis_url, test)


def test_a_plain_function_that_raises_stop_iteration_fails_its_turn(redis_url: str) -> None:
    @chat.agent("exhausted")
    def exhausted(turn: chat.Turn[Any]) -> str:
        return str(next(iter(())))

    async def test(world: World) -> None:
        session = world.chat(exhausted)
        async with world.engine(exhausted) as engine, asyncio.timeout(8):
            assert await world.turn(engine, session) == "failed"

    live(redis_url, test)


def test_an_agent_whose_own_task_was_cancelled_fails_its_turn(redis_url: str) -> None:
    @chat.agent("cancels")
    async def cancels(turn: chat.Turn[Any]) -> str:
        work = asyncio.create_task(asyncio.sleep(60))
        work.cancel()
        await work
        return "never"

    async def test(world: World) -> None:
        session = world.chat(cancels)
        async with world.engine(cancels) as engine, asyncio.timeout(8):
            assert await world.turn(engine, session) == "failed"
            assert text_of(world.history(session))[0] == "hi"

    live(redis_url, test)


def _no_words(error: BaseException) -> str:
    raise KeyError("no words")


@pytest.mark.parametrize("on_error", [_no_words, lambda error: None, lambda error: 5])
def test_an_on_error_without_words_ends_the_turn_with_the_masked_text(redis_url: str, on_error: Any) -> None:
    @chat.agent("speechless", on_error=on_error)
    async def speechless(turn: chat.Turn[Any]) -> str:
        raise RuntimeError("secret")

    async def test(world: World) -> None:
        session = world.chat(speechless)
        async with world.engine(speechless) as engine:
            assert await world.turn(engine, session) == "failed"
        assert world.chunks(session)[-1] == {"type": "error", "errorText": "An error occurred."}

    live(redis_url, test)


@pytest.mark.parametrize("make_id", [_no_words, lambda: None, lambda: ""])
def test_an_answer_without_an_id_of_the_author_gets_one_of_ours(redis_url: str, make_id: Any) -> None:
    @chat.agent("nameless", stream_options={"generate_message_id": make_id})
    async def nameless(turn: chat.Turn[Any]) -> str:
        return "hello"

    async def test(world: World) -> None:
        session = world.chat(nameless)
        async with world.engine(nameless) as engine:
            assert await world.turn(engine, session) == "completed"
        assert world.history(session)[-1]["id"].startswith("msg_")

    live(redis_url, test)


def test_the_words_for_errors_may_be_set_for_one_turn(redis_url: str) -> None:
    @chat.agent("worded")
    async def worded(turn: chat.Turn[Any]) -> str:
        if turn.number == 0:
            chat.set_ui_message_stream_options(on_error=lambda error: f"turn 0: {error}")
        raise RuntimeError("boom")

    async def test(world: World) -> None:
        session = world.chat(worded)
        async with world.engine(worded) as engine:
            await world.turn(engine, session)
            assert world.chunks(session)[-1]["errorText"] == "turn 0: boom"
            await world.turn(engine, session, "again", "u2")
        assert world.chunks(session)[-1]["errorText"] == "An error occurred."

    live(redis_url, test)


def test_writing_after_the_answer_was_committed_is_an_error_that_says_so(redis_url: str) -> None:
    caught: list[BaseException] = []

    @chat.agent("late")
    async def late(turn: chat.Turn[Any]) -> str:
        return "done"

    @late.on_turn_complete
    async def write(event: chat.TurnComplete[Any]) -> None:
        for attempt in (
            lambda: chat.response.write({"type": "data-late", "data": 1}),
            lambda: chat.pipe("late"),
            lambda: chat.stream.append({"type": "data-late", "data": 1}),
        ):
            try:
                made = attempt()
                if made is not None:
                    await made
            except ConfigError as error:
                caught.append(error)

    async def test(world: World) -> None:
        session = world.chat(late)
        async with world.engine(late) as engine:
            await world.turn(engine, session)
            await world.turn(engine, session, "again", "u2")
        assert text_of(world.history(session)) == ["hi", "done", "again", "done"]
        assert not any(part["type"] == "data-late" for each in world.history(session) for part in each["parts"])

    live(redis_url, test)
    assert len(caught) == 6
    assert "on_before_turn_complete" in str(caught[0])


def test_a_stopped_turn_says_so_before_its_end_too(redis_url: str) -> None:
    told: list[tuple[str, bool]] = []

    @chat.agent("stoppable")
    async def stoppable(turn: chat.Turn[Any]) -> AsyncIterator[str]:
        yield "begun"
        await asyncio.Event().wait()

    @stoppable.on_before_turn_complete
    def before(event: chat.BeforeTurnComplete[Any]) -> None:
        told.append(("before", event.stopped))

    @stoppable.on_turn_complete
    def after(event: chat.TurnComplete[Any]) -> None:
        told.append(("after", event.stopped))

    async def test(world: World) -> None:
        session = world.chat(stoppable)
        async with world.engine(stoppable) as engine:
            world.say(session)
            turn = asyncio.create_task(engine.run_turn("stoppable", session.id))
            await until(lambda: any(chunk.get("delta") == "begun" for chunk in world.chunks(session)))
            world.stop(session)
            assert await turn == "stopped"
        assert told == [("before", True), ("after", True)]

    live(redis_url, test)


def test_on_turn_complete_has_the_client_data_of_a_turn_that_was_stopped_before_it_began(redis_url: str) -> None:
    told: list[Any] = []

    @chat.agent("early", client_data=Client)
    async def early(turn: chat.Turn[Client]) -> str:
        return "done"

    @early.on_boot
    def boot(event: chat.Boot[Client]) -> None:
        told.append("boot")

    @early.on_turn_complete
    def complete(event: chat.TurnComplete[Client]) -> None:
        told.append(event.client_data.user_id)

    async def test(world: World) -> None:
        session = world.chat(early)
        world.say(session, metadata={"user_id": "ada"})
        world.stop(session)
        async with world.engine(early) as engine:
            assert await engine.run_turn("early", session.id) == "stopped"
        assert told == ["boot", "ada"]

    live(redis_url, test)


@pytest.mark.parametrize("verb", ["end_run", "close", "set_idle_timeout"])
def test_the_last_hook_may_still_decide_what_becomes_of_the_run(redis_url: str, verb: str) -> None:
    suspended: list[int] = []

    @chat.agent("decides")
    async def decides(turn: chat.Turn[Any]) -> str:
        return turn.run_id

    @decides.on_turn_complete
    async def complete(event: chat.TurnComplete[Any]) -> None:
        if verb == "end_run":
            chat.end_run()
        elif verb == "close":
            chat.close("enough")
        else:
            chat.set_idle_timeout(0)

    @decides.on_chat_suspend
    async def suspend(event: chat.ChatSuspend[Any]) -> None:
        suspended.append(event.turn or 0)

    async def test(world: World) -> None:
        session = world.chat(decides)
        async with world.engine(decides) as engine:
            await world.turn(engine, session)
            if verb == "close":
                with pytest.raises(Closed) as refused:
                    world.say(session, "again", "u2")
                assert refused.value.closed_reason == "enough"
                return
            if verb == "set_idle_timeout":
                await until(lambda: suspended == [0], deadline_s=5)
                return
            await world.turn(engine, session, "again", "u2")
            texts = text_of(world.history(session))
            assert texts[1] != texts[3]

    live(redis_url, test)


def test_timeouts_that_were_set_hold_for_the_whole_run_also_in_another_process(redis_url: str) -> None:
    seen: list[float] = []

    @chat.agent("patient")
    async def patient(turn: chat.Turn[Any]) -> str:
        if turn.number == 0:
            chat.set_turn_timeout("5h")
        return "done"

    async def test(world: World) -> None:
        session = world.chat(patient)
        for at, owner in enumerate(("w1", "w2")):
            async with world.engine(patient, owner=owner) as engine:
                await world.turn(engine, session, "hi", f"u{at}")
                raw = world.side.field(session, "run_until")
                seen.append(float(raw or 0) / 1000 - time.time())
        assert all(4.9 * 3600 < each < 5.1 * 3600 for each in seen), seen

    live(redis_url, test)
