"""`chat.local`, `chat.prompt` and what a run keeps: warm, suspended, in another process, and after its end."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from pydantic import BaseModel

from chatagent import chat
from chatagent.agent.local import Local, Locals, enter_locals, snapshot_locals
from chatagent.errors import ConfigError
from tests.runtime.world import World, live, text_of


class User(BaseModel):
    name: str
    count: int = 0


user = chat.local("user", User)
lock: Local[Any] = chat.local("lock", object)


def test_a_local_has_a_value_per_run_and_says_when_it_has_none() -> None:
    enter_locals(Locals())
    with pytest.raises(ConfigError, match="call init"):
        _ = user.value
    assert not user.initialised
    user.init(User(name="ada"))
    assert (user.name, user.value.count, user.get()) == ("ada", 0, {"name": "ada", "count": 0})
    enter_locals(Locals())
    assert not user.initialised


def test_changes_are_noticed_once_also_inside_the_value() -> None:
    enter_locals(Locals())
    user.init(User(name="ada"))
    assert not user.has_changed()
    user.count += 1
    assert user.has_changed()
    assert not user.has_changed()
    user.value.count = 7
    assert user.has_changed()


def test_a_subtask_reads_a_copy() -> None:
    enter_locals(Locals())
    user.init(User(name="ada"))
    enter_locals(snapshot_locals(), read_only=True)
    assert user.name == "ada"
    with pytest.raises(ConfigError, match="only read"):
        user.name = "bob"


def test_what_json_cannot_say_is_kept_while_warm_and_its_loss_is_told() -> None:
    warm = enter_locals(Locals())
    lock.init(threading.Lock())
    assert lock.value is warm.values["lock"]
    enter_locals(Locals(stored=warm.snapshot()))
    assert not lock.initialised
    with pytest.raises(ConfigError, match="could not be stored"):
        _ = lock.value


@chat.agent("counting", idle_timeout=60)
async def counting(turn: chat.Turn[Any]) -> str:
    user.count += 1
    return f"{user.name} {user.count} {chat.prompt()}"


@counting.on_chat_start
def begin(event: chat.ChatStart[Any]) -> None:
    user.init(User(name="ada"))
    chat.prompt.set("be brief")


def test_locals_survive_warm_turns_and_another_process(redis_url: str) -> None:
    async def test(world: World) -> None:
        session = world.chat(counting)
        async with world.engine(counting) as engine:
            await world.turn(engine, session, "one", "u1")
            await world.turn(engine, session, "two", "u2")
        async with world.engine(counting, owner="w2") as other:
            await world.turn(other, session, "three", "u3")
        assert text_of(world.history(session))[1::2] == ["ada 1 be brief", "ada 2 be brief", "ada 3 be brief"]

    live(redis_url, test)


def test_locals_end_with_their_run(redis_url: str) -> None:
    seen: list[bool] = []

    @chat.agent("ending")
    async def ending(turn: chat.Turn[Any]) -> str:
        seen.append(user.initialised)
        user.init(User(name="x"))
        chat.end_run()
        return "bye"

    async def test(world: World) -> None:
        session = world.chat(ending)
        async with world.engine(ending) as engine:
            await world.turn(engine, session, "one", "u1")
            await world.turn(engine, session, "two", "u2")

    live(redis_url, test)
    assert seen == [False, False]


def test_what_on_turn_complete_changes_is_stored(redis_url: str) -> None:
    @chat.agent("afterwards")
    async def afterwards(turn: chat.Turn[Any]) -> str:
        return f"{user.count if user.initialised else 0}"

    @afterwards.on_turn_complete
    def count(event: chat.TurnComplete[Any]) -> None:
        user.init(User(name="ada", count=event.turn + 1))
        if event.turn == 1:
            chat.history.set(event.ui_messages[-1:])

    async def test(world: World) -> None:
        session = world.chat(afterwards)
        for at in range(3):
            async with world.engine(afterwards, owner=f"w{at}") as engine:
                await world.turn(engine, session, "go", f"u{at}")
        assert text_of(world.history(session)) == ["1", "go", "2"]

    live(redis_url, test)
