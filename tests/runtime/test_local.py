"""`chat.local`, `chat.prompt` and what a run keeps: warm, suspended, in another process, and after its end."""

from __future__ import annotations

import threading
from typing import Any, Protocol

import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

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


def test_a_value_is_of_the_type_that_was_declared() -> None:
    class Clock(Protocol):
        def now(self) -> float: ...

    anything, words = chat.local("anything"), chat.local("words", list)
    users, clock = chat.local("users", dict[str, User]), chat.local("clock", Clock)  # type: ignore[type-abstract]
    enter_locals(Locals())
    # A dict of the right shape is as good as the model.
    assert user.init({"name": "ada"}) == User(name="ada")  # type: ignore[arg-type]
    assert user.value.count == 0
    assert users.init({"a": {"name": "ada"}})["a"].name == "ada"  # type: ignore[dict-item]
    given: list[str] = []
    assert words.init(given) is given
    assert anything.init(given) is given
    assert clock.init(threading.Event()) is clock.value  # type: ignore[arg-type]
    for wrong in (5, {"name": 5}, None):
        with pytest.raises(ConfigError, match=r"local 'user' takes a User, not this (int|dict|NoneType): "):
            user.init(wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r'chat\.local\("user", User\)'):
        chat.local(User)  # type: ignore[call-overload]


def test_a_typed_dict_is_a_type_too() -> None:
    class Cart(TypedDict):
        items: list[str]

    cart = chat.local("cart", Cart)
    enter_locals(Locals())
    cart.init({"items": []})
    cart.value["items"].append("tea")
    assert (cart.get(), cart.has_changed()) == ({"items": ["tea"]}, True)
    with pytest.raises(ConfigError, match="items"):
        cart.init({"items": 5})  # type: ignore[typeddict-item]


def test_fields_of_the_value_are_reached_whatever_they_are_called() -> None:
    class Named(BaseModel):
        id: str
        type: str
        get: str

    named = chat.local("named", Named)
    enter_locals(Locals())
    named.init(Named(id="7", type="x", get="y"))
    assert (named.id, named.type, named.value.get) == ("7", "x", "y")


def test_changes_are_noticed_once_also_inside_the_value() -> None:
    enter_locals(Locals())
    user.init(User(name="ada"))
    assert not user.has_changed()
    user.count += 1
    assert user.has_changed()
    assert not user.has_changed()
    user.value.count = 7
    assert user.has_changed()
    user.value = User(name="bob")
    assert (user.name, user.has_changed(), user.has_changed()) == ("bob", True, False)


def test_a_subtask_reads_a_copy() -> None:
    enter_locals(Locals())
    user.init(User(name="ada"))
    enter_locals(snapshot_locals(), read_only=True)
    assert user.name == "ada"
    with pytest.raises(ConfigError, match="only read"):
        user.name = "bob"
    with pytest.raises(ConfigError, match="only read"):
        user.value = User(name="bob")


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
