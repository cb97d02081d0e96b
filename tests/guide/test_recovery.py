"""`docs/guide/recovery.md`: workers die, and others go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
from pydantic import BaseModel

from chatagent import chat as chat_module
from chatagent.redis.session import Session
from tests.guide.page import Page
from tests.provider import FakeProvider
from tests.runtime.fleet import Fleet, fleet
from tests.runtime.test_recovery import expire_lease
from tests.runtime.world import text_of, until

PAGE = Page("recovery")

Chunk = dict[str, Any]
#: `crash(agent, until_chunk, check)`: `check` gets the world and the session when the answer is committed.
Crash = Callable[..., None]

HANGING: list[Chunk] = [{"content": "Half an ans"}, {"hang": True}]
WHOLE: list[Chunk] = [{"content": "A whole answer."}, {"finish": "stop"}]


def call(name: str, arguments: str) -> list[Chunk]:
    """A model that calls a tool."""
    return [{"tool": [{"index": 0, "id": "c1", "name": name, "args": arguments}]}, {"finish": "tool_calls"}]


def says(text: str) -> Callable[[Chunk], bool]:
    """Whether a chunk has this text."""
    return lambda chunk: chunk.get("delta") == text


@pytest.fixture
def crash(redis_url: str, model_loop: asyncio.Runner, openai: FakeProvider) -> Crash:
    def run(
        agent: Any, seen: Callable[[Chunk], bool], check: Callable[[Fleet, Session], None], *, deploy: bool = False
    ) -> None:
        async def test(world: Fleet) -> None:
            session = world.chat(agent)
            world.say(session, "question")
            async with world.mortal(agent) as (doomed, die):
                turn = asyncio.create_task(doomed.run_turn(agent.id, session.id))
                await until(lambda: any(seen(chunk) for chunk in world.chunks(session)))
                if deploy:
                    world.engines.remove(doomed)
                    await doomed.stop()
                else:
                    die()
                await asyncio.gather(turn, return_exceptions=True)
                async with world.worker(agent, owner="w2"):
                    if deploy:
                        await world.dispatch(agent.id, session.id, "turns")
                    else:
                        expire_lease(world, session)
                    await until(lambda: len(world.history(session)) == 2)
                check(world, session)

        fleet(redis_url, test, runner=model_loop)

    return run


def test_every_block_is_run() -> None:
    PAGE.assert_every_block_is_run(__file__)


def test_a_tool_that_finished_is_not_run_again(crash: Crash, openai: FakeProvider) -> None:
    def check(world: Fleet, session: Session) -> None:
        assert text_of(world.history(session)) == ["question", "A whole answer."]
        assert [chunk["type"] for chunk in world.chunks(session)].count("reset-step") == 1

    openai.script(call("pay", '{"euros": 7}'), HANGING, WHOLE)
    space = PAGE.run("tools")
    crash(space["payer"], says("Half an ans"), check)
    assert space["paid"] == [7]
    assert len(openai.requests) == 3


@pytest.mark.parametrize("dies", ["before the model", "in the first step", "in a later step"])
def test_the_function_is_called_anew(crash: Crash, openai: FakeProvider, dies: str) -> None:
    def check(world: Fleet, session: Session) -> None:
        kept = "" if dies == "before the model" else "One moment, please.\n\n"
        assert text_of(world.history(session))[1] == kept + "A whole answer."

    first = [call("book", '{"room": "7"}')] if dies == "in a later step" else []
    openai.script(*first, [{"hang": True}] if dies == "before the model" else HANGING, WHOLE)
    seen = says("One moment, please.\n\n" if dies == "before the model" else "Half an ans")
    crash(PAGE.run("attempt")["hotel"], seen, check)


def test_what_must_not_be_missed_is_said_before_the_commit(crash: Crash, openai: FakeProvider) -> None:
    openai.script(HANGING, WHOLE)
    space = PAGE.run("rows")
    crash(space["kept"], says("Half an ans"), lambda world, session: None)
    assert text_of(space["rows"].values()) == ["question", "A whole answer."]


@pytest.mark.parametrize("deploy", [False, True], ids=["crash", "deploy"])
def test_half_an_answer_may_be_kept(crash: Crash, openai: FakeProvider, deploy: bool) -> None:
    answer = "A whole answer." if deploy else "Half an ans"

    def check(world: Fleet, session: Session) -> None:
        assert text_of(world.history(session)) == ["question", answer]

    openai.script(HANGING, WHOLE)
    crash(PAGE.run("recovery")["writer"], says("Half an ans"), check, deploy=deploy)
    assert len(openai.requests) == (2 if deploy else 1)


class Count(BaseModel):
    turns: int = 0


def test_what_runs_again_and_what_a_run_remembers(
    redis_url: str, model_loop: asyncio.Runner, openai: FakeProvider
) -> None:
    """The table of what runs again, row by row."""
    calls: list[str] = []
    count = chat_module.local("guide-recovery", Count)
    agent = PAGE.run("tools")["payer"]

    def note(name: str, answer: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def hook(event: Any) -> Any:
            calls.append(name)
            return answer(event)

        return hook

    for name in ("on_boot", "on_chat_start", "on_turn_start", "on_before_turn_complete", "on_turn_complete"):
        agent.add(name, note(name, lambda event: None))
    agent.on_validate_messages(note("on_validate_messages", lambda event: event.messages))
    agent.prepare_messages(note("prepare_messages", lambda event: event.messages))
    agent.hydrate_messages(note("hydrate_messages", lambda event: [*event.previous_messages, *event.incoming_messages]))

    @agent.on_boot  # type: ignore[untyped-decorator,unused-ignore]
    def begin(event: Any) -> None:
        if not count.initialised:
            count.init(Count())

    @agent.on_turn_start  # type: ignore[untyped-decorator,unused-ignore]
    def one_more(event: Any) -> None:
        count.turns += 1
        calls.append(f"turn {count.turns}")

    async def test(world: Fleet) -> None:
        session = world.chat(agent)
        async with world.mortal(agent) as (doomed, die):
            openai.script(WHOLE, HANGING, WHOLE)
            world.say(session, "one", "u1")
            await doomed.run_turn(agent.id, session.id)
            calls.clear()
            world.say(session, "two", "u2")
            turn = asyncio.create_task(doomed.run_turn(agent.id, session.id))
            await until(lambda: any(chunk.get("delta") == "Half an ans" for chunk in world.chunks(session)))
            die()
            await asyncio.gather(turn, return_exceptions=True)
            first = list(calls)
            calls.clear()
            async with world.worker(agent, owner="w2"):
                expire_lease(world, session)
                await until(lambda: "on_turn_complete" in calls)

        before = ["on_validate_messages", "hydrate_messages", "prepare_messages", "on_turn_start", "turn 2"]
        assert first == before
        assert calls == ["on_boot", *before, "on_before_turn_complete", "on_turn_complete"]

    fleet(redis_url, test, runner=model_loop)


def test_on_turn_complete_is_not_run_twice(redis_url: str, model_loop: asyncio.Runner, openai: FakeProvider) -> None:
    begun: list[int] = []
    agent = PAGE.run("tools")["payer"]

    @agent.on_turn_complete  # type: ignore[untyped-decorator,unused-ignore]
    async def hook(event: Any) -> None:
        begun.append(event.turn)
        if event.turn == 0:
            await asyncio.Event().wait()

    async def test(world: Fleet) -> None:
        session = world.chat(agent)
        async with world.mortal(agent) as (doomed, die):
            world.say(session, "one", "u1")
            turn = asyncio.create_task(doomed.run_turn(agent.id, session.id))
            await until(lambda: begun)
            die()
            turn.cancel()
            await asyncio.gather(turn, return_exceptions=True)
            async with world.worker(agent, owner="w2"):
                world.say(session, "two", "u2")
                await world.dispatch(agent.id, session.id, "turns")
                await until(lambda: len(begun) == 2)
        assert begun == [0, 1]
        assert len(world.history(session)) == 4

    fleet(redis_url, test, runner=model_loop)


def test_the_tables_of_recovery_are_whole() -> None:
    def names(head: str) -> set[str]:
        table = PAGE.text.split(head)[1].split("\n\n")[0]
        return {row.split("`")[1] for row in table.splitlines() if row.startswith("| `")}

    common = {"ctx", "chat_id", "run_id", "previous_run_id", "client_data"}
    assert names("| field | is |") == {field.name for field in fields(chat_module.RecoveryBoot)} - common
    assert names("| of `chat.Recovery` |") == {field.name for field in fields(chat_module.Recovery)}
    pending = {field.name for field in fields(chat_module.PendingToolCall)}
    assert f"`{' '.join(sorted(pending, key=PAGE.text.index))}`" in PAGE.text
