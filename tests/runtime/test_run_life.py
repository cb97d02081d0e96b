"""The life of a run: limits, ends, continuations, suspension, preload (behaviours 51, 52, 56, 58-60, 63)."""

from __future__ import annotations

from typing import Any

from chatagent import chat
from tests.runtime.world import World, live, text_of, until


def _watched(calls: list[str], **options: Any) -> chat.Agent[Any]:
    @chat.agent("watched", **options)
    async def watched(turn: chat.Turn[Any]) -> str:
        calls.append(f"run {turn.number} {turn.continuation} {len(turn.messages)}")
        return f"answer {turn.number}"

    @watched.on_boot
    def boot(event: chat.Boot[Any]) -> None:
        calls.append(f"boot {event.continuation} {event.previous_run_id is not None} {event.preloaded}")

    @watched.on_chat_start
    def start(event: chat.ChatStart[Any]) -> None:
        calls.append(f"start {event.preloaded}")

    @watched.on_preload
    def preload(event: chat.Preload[Any]) -> None:
        calls.append("preload")

    @watched.on_chat_suspend
    def suspend(event: chat.ChatSuspend[Any]) -> None:
        calls.append(f"suspend {event.phase} {event.turn} {len(event.ui_messages)}")

    @watched.on_chat_resume
    def resume(event: chat.ChatResume[Any]) -> None:
        calls.append(f"resume {event.phase} {event.turn} {len(event.ui_messages)}")

    return watched


def test_after_max_turns_the_run_ends_and_the_next_message_continues_the_chat(redis_url: str) -> None:
    calls: list[str] = []
    agent = _watched(calls, max_turns=2)

    async def test(world: World) -> None:
        session = world.chat(agent)
        async with world.engine(agent) as engine:
            for at in range(3):
                await world.turn(engine, session, "go", f"u{at}")
        assert calls[:6] == [
            "boot False False False",
            "start False",
            "run 0 False 1",
            "run 1 False 3",
            "boot True True False",
            "run 2 True 5",
        ]

    live(redis_url, test)


def test_end_run_lets_the_next_message_be_served_by_a_new_run_with_the_history(redis_url: str) -> None:
    runs: list[tuple[str, bool, int]] = []

    @chat.agent("ender")
    async def ender(turn: chat.Turn[Any]) -> str:
        runs.append((turn.run_id, turn.continuation, len(turn.messages)))
        if turn.number == 0:
            chat.end_run()
        return "ok"

    async def test(world: World) -> None:
        session = world.chat(ender)
        async with world.engine(ender) as engine:
            for at in range(3):
                await world.turn(engine, session, "go", f"u{at}")

    live(redis_url, test)
    first, second, third = runs
    assert first[1:] == (False, 1)
    assert second[1:] == (True, 3)
    assert third[0] == second[0] != first[0]


def test_an_idle_run_is_suspended_and_resumes_in_place(redis_url: str) -> None:
    calls: list[str] = []
    agent = _watched(calls, idle_timeout=0.05)

    async def test(world: World) -> None:
        session = world.chat(agent)
        async with world.engine(agent) as engine:
            await world.turn(engine, session, "one", "u1")
            await until(lambda: "suspend turn 0 2" in calls)
            await until(lambda: world.side.sessions.get("c1").suspended)
            run_id = world.side.sessions.get("c1").run_id
            await world.turn(engine, session, "two", "u2")
            assert world.side.sessions.get("c1").run_id == run_id
        assert calls[3:6] == ["suspend turn 0 2", "resume turn 1 2", "run 1 False 3"]

    live(redis_url, test)


def test_after_the_turn_timeout_the_run_has_ended_without_an_error(redis_url: str) -> None:
    calls: list[str] = []
    agent = _watched(calls, turn_timeout=0.05)

    async def test(world: World) -> None:
        session = world.chat(agent)
        async with world.engine(agent) as engine:
            await world.turn(engine, session, "one", "u1")
            key = f"test:{{{session.id}}}:session"
            await until(lambda: _now_ms(world) > int(world.side.client.hget(key, "run_until") or 0))
            await world.turn(engine, session, "two", "u2")
        assert "boot True True False" in calls
        assert [chunk["type"] for chunk in world.chunks(session)].count("error") == 0

    live(redis_url, test)


def _now_ms(world: World) -> int:
    seconds, micros = world.side.client.time()
    return int(seconds) * 1000 + int(micros) // 1000


def test_a_preloaded_run_is_booted_before_the_first_message(redis_url: str) -> None:
    calls: list[str] = []
    agent = _watched(calls)

    async def test(world: World) -> None:
        session = world.chat(agent)
        async with world.engine(agent) as engine:
            world.side.inbox.push(session.id, "preload", {})
            await engine.run_turn("watched", session.id)
            assert calls == ["boot False False False", "preload"]
            assert world.side.outbox.read(session.id, -1) == []
            await world.turn(engine, session, "one", "u1")
        assert calls[2:4] == ["start True", "run 0 False 1"]
        assert text_of(world.history(session)) == ["one", "answer 0"]

    live(redis_url, test)


def test_chat_start_is_called_once_also_when_the_first_attempt_died_after_it(redis_url: str) -> None:
    starts: list[int] = []

    @chat.agent("dying")
    async def dying(turn: chat.Turn[Any]) -> str:
        return f"attempt {turn.attempt}"

    @dying.on_chat_start
    def start(event: chat.ChatStart[Any]) -> None:
        starts.append(event.ctx.attempt)

    async def test(world: World) -> None:
        session = world.chat(dying)
        async with world.engine(dying) as engine:
            world.say(session)
            key = f"test:{{{session.id}}}:session"
            # What the store holds when a worker dies between the hook and the commit.
            world.side.client.hset(key, mapping={"turn_seq": 0, "attempts": 1, "chat_started": 1})
            assert await engine.run_turn("dying", session.id) == "completed"
        assert starts == []

    live(redis_url, test)


def test_a_session_that_the_agent_closes_takes_no_more_messages(redis_url: str) -> None:
    @chat.agent("closer")
    async def closer(turn: chat.Turn[Any]) -> str:
        chat.close("done with you")
        return "bye"

    async def test(world: World) -> None:
        session = world.chat(closer)
        async with world.engine(closer) as engine:
            assert await world.turn(engine, session) == "completed"
        found = world.side.sessions.get("c1")
        assert (found.closed, found.closed_reason) == (True, "done with you")
        controls = [record.control for record in world.side.outbox.read(session.id, -1) if record.control]
        assert controls == ["turn-start", "turn-complete", "session-closed"]

    live(redis_url, test)
