"""How the turns and the runs of loops end: failures that nobody looked at, and loops that end while they wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chatagent import chat
from tests.runtime.world import World, live, text_of, until


async def _fails() -> AsyncIterator[str]:
    yield "half an answer"
    raise RuntimeError("out of words, key sk-1")


@pytest.mark.parametrize(
    ("after", "outcome", "said"),
    [("done", "failed", ""), ("write_turn_complete", "failed", ""), ("said more", "completed", "Sorry.")],
)
def test_a_captured_failure_is_the_turns_unless_something_is_said_after_it(
    redis_url: str, after: str, outcome: str, said: str
) -> None:
    @chat.custom_agent("failing")
    async def failing(payload: chat.ChatTaskPayload) -> None:
        async for turn in chat.create_session(payload):
            if turn.number > 0:
                await turn.complete("well")
                continue
            captured = await chat.pipe_and_capture(_fails())
            assert captured.status == "error"
            if after == "said more":
                await chat.pipe("Sorry.")
            if after == "write_turn_complete":
                await chat.write_turn_complete()
            else:
                await turn.done()

    async def test(world: World) -> None:
        session = world.chat(failing)
        async with world.engine(failing) as engine:
            assert await world.turn(engine, session, "one", "u1") == outcome
            types = [chunk["type"] for chunk in world.chunks(session)]
            assert (types[-1] == "error") == (outcome == "failed")
            assert "sk-1" not in str(world.chunks(session))
            assert await world.turn(engine, session, "two", "u2") == "completed"
        answer = f"half an answer{said}"
        assert text_of(world.history(session)) == ["one", answer, "two", "well"]

    live(redis_url, test)


@pytest.mark.parametrize("end", ["its worker leaves", "it makes room", "it returns"])
def test_a_loop_that_ends_while_it_waits_ends_its_run_and_another_continues_the_chat(redis_url: str, end: str) -> None:
    starts: list[chat.ChatTaskPayload] = []
    known: list[bool] = []
    kept = chat.local(f"loop-end-{end}", int)
    let_go = asyncio.Event()

    @chat.custom_agent("waiting")
    async def waiting(payload: chat.ChatTaskPayload) -> None:
        starts.append(payload)
        known.append(kept.initialised)
        if not kept.initialised:
            kept.init(7)
        await chat.pipe("ok")
        await chat.write_turn_complete()
        if end == "it returns" and len(starts) == 1:
            await let_go.wait()
        else:
            await chat.messages.wait(timeout_s=600)

    async def test(world: World) -> None:
        session = world.chat(waiting)
        async with world.engine(waiting) as one:
            await world.turn(one, session, "one", "u1")
            if end == "it makes room":
                await one.suspend(session.id)
            elif end == "it returns":
                let_go.set()
                await until(lambda: world.side.client.hget(f"test:{{{session.id}}}:session", "run_until") == b"0")
        async with world.engine(waiting, owner="w2") as two:
            await world.turn(two, session, "two", "u2")
        assert text_of(world.history(session)) == ["one", "ok", "two", "ok"]

    live(redis_url, test)
    first, second = starts
    assert (first.continuation, first.previous_run_id) == (False, None)
    assert (second.continuation, second.previous_run_id) == (True, first.run_id)
    assert second.run_id != first.run_id
    assert [message["role"] for message in second.messages] == ["user", "assistant", "user"]
    assert known == [False, True], "what is kept in chat.local is there for the next run of a loop"


def _watched(calls: list[str]) -> chat.Agent[Any]:
    @chat.agent("hooked")
    async def hooked(turn: chat.Turn[Any]) -> str:
        calls.append(f"run {turn.continuation}")
        return "ok"

    @hooked.on_boot
    def boot(event: chat.Boot[Any]) -> None:
        calls.append(f"boot {event.continuation} {event.previous_run_id == event.run_id}")

    @hooked.on_chat_resume
    def resume(event: chat.ChatResume[Any]) -> None:
        calls.append("resume")

    return hooked


def test_the_run_of_an_agent_with_hooks_survives_a_deploy_as_the_same_run(redis_url: str) -> None:
    calls: list[str] = []
    agent = _watched(calls)

    async def test(world: World) -> None:
        session = world.chat(agent)
        runs = []
        for at in range(2):
            async with world.engine(agent, owner=f"w{at}") as engine:
                await world.turn(engine, session, "go", f"u{at}")
                runs.append(world.side.sessions.get("c1").run_id)
        assert runs[0] == runs[1]

    live(redis_url, test)
    assert calls == ["boot False False", "run False", "boot False False", "resume", "run False"]
