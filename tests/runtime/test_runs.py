from __future__ import annotations

import asyncio
from typing import Any

from chatagent import chat
from chatagent.agent.turn import end_run, set_idle_timeout
from chatagent.runtime.engine import EngineOptions
from chatagent.runtime.runs import Runs
from tests.runtime.world import World, live, until


def test_a_run_is_suspended_when_it_was_idle_and_resumes_as_the_same_run(redis_url: str) -> None:
    events: list[tuple[str, str]] = []

    @chat.agent("idle", idle_timeout_s=0.05)
    async def idle(turn: chat.Turn[Any]) -> str:
        return turn.run_id

    @idle.on_boot
    async def boot(event: Any) -> None:
        events.append(("boot", event.run_id))

    @idle.on_chat_suspend
    async def suspend(event: Any) -> None:
        events.append(("suspend", event.phase))

    @idle.on_chat_resume
    async def resume(event: Any) -> None:
        events.append(("resume", event.phase))

    async def test(world: World) -> None:
        session = world.chat(idle)
        async with world.engine(idle) as engine:
            await world.turn(engine, session, "one", "u1")
            await until(lambda: len(events) == 2)
            await world.turn(engine, session, "two", "u2")
        async with world.engine(idle, owner="w2") as other:
            await world.turn(other, session, "three", "u3")
        assert len(set(_answers(world, session))) == 1

    live(redis_url, test)
    names = [name for name, _ in events]
    # The second process has not had the run: it boots it, and then resumes it.
    assert names == ["boot", "suspend", "resume", "suspend", "boot", "resume", "suspend"]


def test_parked_runs_are_suspended_when_their_worker_leaves(redis_url: str) -> None:
    suspended: list[str] = []

    @chat.agent("parked")
    async def parked(turn: chat.Turn[Any]) -> str:
        return "here"

    @parked.on_chat_suspend
    async def suspend(event: Any) -> None:
        suspended.append(event.chat_id)

    async def test(world: World) -> None:
        sessions = [world.chat(parked, f"c{number}") for number in range(3)]
        async with world.engine(parked) as engine:
            for session in sessions:
                await world.turn(engine, session)
            assert suspended == []

    live(redis_url, test)
    assert sorted(suspended) == ["c0", "c1", "c2"]


def test_a_suspend_that_hangs_does_not_keep_the_worker(redis_url: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("chatagent.runtime.engine._SUSPEND_S", 0.1)
    cancelled: list[bool] = []

    @chat.agent("hanging")
    async def hanging(turn: chat.Turn[Any]) -> str:
        return "here"

    @hanging.on_chat_suspend
    async def suspend(event: Any) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def test(world: World) -> None:
        session = world.chat(hanging)
        async with world.engine(hanging) as engine:
            await world.turn(engine, session)
        async with world.engine(hanging, owner="w2") as other:
            assert await world.turn(other, session, "two", "u2") == "completed"

    live(redis_url, test)
    assert cancelled == [True, True]


def test_a_turn_waits_for_the_suspend_of_its_run(redis_url: str) -> None:
    events: list[str] = []

    @chat.agent("slow", idle_timeout_s=0)
    async def slow(turn: chat.Turn[Any]) -> str:
        events.append("turn")
        return "here"

    async def test(world: World) -> None:
        suspending, release = asyncio.Event(), asyncio.Event()

        @slow.on_chat_suspend
        async def suspend(event: Any) -> None:
            events.append("suspend")
            suspending.set()
            await release.wait()
            events.append("suspended")

        session = world.chat(slow)
        async with world.engine(slow) as engine:
            await world.turn(engine, session, "one", "u1")
            await suspending.wait()
            second = asyncio.create_task(world.turn(engine, session, "two", "u2"))
            await asyncio.sleep(0)
            assert events == ["turn", "suspend"]
            release.set()
            assert await second == "completed"

    live(redis_url, test)
    assert events[:4] == ["turn", "suspend", "suspended", "turn"]


def test_the_run_that_waits_longest_makes_room(redis_url: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(Runs.__init__, "__kwdefaults__", {"max_warm": 2})
    suspended: list[str] = []

    @chat.agent("many")
    async def many(turn: chat.Turn[Any]) -> str:
        return "here"

    @many.on_chat_suspend
    async def suspend(event: Any) -> None:
        suspended.append(event.chat_id)

    async def test(world: World) -> None:
        async with world.engine(many) as engine:
            for number in range(4):
                await world.turn(engine, world.chat(many, f"c{number}"))
            await until(lambda: len(suspended) == 2)
            assert suspended == ["c0", "c1"]

    live(redis_url, test)


def test_end_run_ends_the_run_without_a_suspend(redis_url: str) -> None:
    events: list[str] = []

    @chat.agent("ending")
    async def ending(turn: chat.Turn[Any]) -> str:
        end_run()
        return turn.run_id

    @ending.on_chat_suspend
    async def suspend(event: Any) -> None:
        events.append("suspend")

    @ending.on_boot
    async def boot(event: Any) -> None:
        events.append(f"boot {event.continuation} {event.previous_run_id is not None}")

    async def test(world: World) -> None:
        session = world.chat(ending)
        async with world.engine(ending) as engine:
            await world.turn(engine, session, "one", "u1")
            await world.turn(engine, session, "two", "u2")
        first, second = _answers(world, session)
        assert first != second

    live(redis_url, test)
    assert events == ["boot False False", "boot True True"]


def test_max_turns_ends_a_run(redis_url: str) -> None:
    @chat.agent("two", max_turns=2)
    async def two(turn: chat.Turn[Any]) -> str:
        return turn.run_id

    async def test(world: World) -> None:
        session = world.chat(two)
        async with world.engine(two) as engine:
            for number in range(5):
                await world.turn(engine, session, "hi", f"u{number}")
        answers = _answers(world, session)
        assert [answers.index(answer) for answer in answers] == [0, 0, 2, 2, 4]

    live(redis_url, test)


def test_a_run_that_waited_past_its_turn_timeout_is_continued_by_another(redis_url: str) -> None:
    @chat.agent("expiring", turn_timeout=0.05, idle_timeout_s=0)
    async def expiring(turn: chat.Turn[Any]) -> str:
        return f"{turn.run_id} {turn.continuation}"

    async def test(world: World) -> None:
        session = world.chat(expiring)
        async with world.engine(expiring) as engine:
            await world.turn(engine, session, "one", "u1")
            deadline = asyncio.get_running_loop().time() + 0.2
            await until(lambda: asyncio.get_running_loop().time() > deadline)
            await world.turn(engine, session, "two", "u2")
        (first, _), (second, continuation) = [answer.split() for answer in _answers(world, session)]
        assert first != second
        assert continuation == "True"

    live(redis_url, test)


def test_the_idle_timeout_may_be_set_in_a_turn(redis_url: str) -> None:
    suspended: list[str] = []

    @chat.agent("impatient")
    async def impatient(turn: chat.Turn[Any]) -> str:
        set_idle_timeout(0.01)
        return "here"

    @impatient.on_chat_suspend
    async def suspend(event: Any) -> None:
        suspended.append(event.chat_id)

    async def test(world: World) -> None:
        session = world.chat(impatient)
        async with world.engine(impatient, options=EngineOptions()) as engine:
            await world.turn(engine, session)
            await until(lambda: suspended)

    live(redis_url, test)


def _answers(world: World, session: Any) -> list[str]:
    """The texts of the agent's answers."""
    found = [message for message in world.history(session) if message["role"] == "assistant"]
    return ["".join(part.get("text", "") for part in message["parts"]) for message in found]
