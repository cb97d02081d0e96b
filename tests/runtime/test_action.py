"""Actions and `chat.history` (behaviours 72, 74, 80, 81)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from chatagent import chat
from tests.runtime.world import World, live, text_of


class Undo(BaseModel):
    type: Literal["undo"] = "undo"


class RollbackTo(BaseModel):
    type: Literal["rollback"]
    message_id: str


class Ask(BaseModel):
    type: Literal["ask"]
    text: str


Actions = Annotated[Undo | RollbackTo | Ask, Field(discriminator="type")]


def _editor(calls: list[str]) -> chat.Agent[Any]:
    @chat.agent("editor", actions=Actions)
    async def editor(turn: chat.Turn[Any]) -> str:
        calls.append(f"run {turn.number} {turn.trigger}")
        return f"answer {turn.number}"

    @editor.on_turn_start
    def start(event: chat.TurnStart[Any]) -> None:
        calls.append("turn start")

    @editor.on_turn_complete
    def complete(event: chat.TurnComplete[Any]) -> None:
        calls.append("turn complete")

    @editor.on_action
    def act(event: chat.Action[Any, Undo | RollbackTo | Ask]) -> chat.TurnRequest | None:
        calls.append(event.action.type)
        match event.action:
            case Undo():
                chat.history.slice(0, -2)
            case RollbackTo(message_id=message_id):
                chat.history.rollback_to(message_id)
            case Ask(text=text):
                return chat.turn(text)
        return None

    return editor


def _act(world: World, session: Any, action: dict[str, Any]) -> None:
    world.side.inbox.push(session.id, "action", {"action": action})


def test_an_action_edits_the_chat_without_being_a_turn(redis_url: str) -> None:
    calls: list[str] = []
    agent = _editor(calls)

    async def test(world: World) -> None:
        session = world.chat(agent)
        async with world.engine(agent) as engine:
            await world.turn(engine, session, "one", "u1")
            await world.turn(engine, session, "two", "u2")
            calls.clear()
            before = world.side.sessions.get("c1")
            _act(world, session, {"type": "undo"})
            assert await engine.run_turn("editor", session.id) == "completed"
            assert calls == ["undo"]
            assert text_of(world.history(session)) == ["one", "answer 0"]
            after = world.side.sessions.get("c1")
            assert after.turn == before.turn
            records = world.side.outbox.read(session.id, before.out_seq)
            assert [record.control for record in records] == ["turn-start", "turn-complete"]
        async with world.engine(agent, owner="w2") as other:
            await world.turn(other, session, "three", "u3")
        assert text_of(world.history(session)) == ["one", "answer 0", "three", "answer 2"]

    live(redis_url, test)


def test_an_action_may_ask_for_a_turn(redis_url: str) -> None:
    calls: list[str] = []
    agent = _editor(calls)

    async def test(world: World) -> None:
        session = world.chat(agent)
        async with world.engine(agent) as engine:
            _act(world, session, {"type": "ask", "text": "what now?"})
            assert await engine.run_turn("editor", session.id) == "completed"
        assert calls == ["ask", "turn start", "run 0 action-turn", "turn complete"]
        assert text_of(world.history(session)) == ["what now?", "answer 0"]
        assert [chunk["type"] for chunk in world.chunks(session)][:1] == ["start"]

    live(redis_url, test)


def test_a_bad_action_is_an_error_and_one_without_a_handler_is_none(redis_url: str) -> None:
    calls: list[str] = []
    agent = _editor(calls)

    @chat.agent("deaf")
    async def deaf(turn: chat.Turn[Any]) -> str:
        return "hi"

    async def test(world: World) -> None:
        async with world.engine(agent, deaf) as engine:
            for one, outcome, kinds in ((agent, "failed", ["error"]), (deaf, "completed", [])):
                session = world.chat(one, one.id)
                _act(world, session, {"type": "explode"})
                assert await engine.run_turn(one.id, session.id) == outcome
                assert [chunk["type"] for chunk in world.chunks(session)] == kinds
                assert world.side.outbox.read(session.id, -1)[-1].control == "turn-complete"
        assert calls == []

    live(redis_url, test)


def test_an_action_that_fails_changes_nothing(redis_url: str) -> None:
    @chat.agent("clumsy")
    async def clumsy(turn: chat.Turn[Any]) -> str:
        return "hi"

    @clumsy.on_action
    def act(event: chat.Action[Any, Any]) -> Any:
        chat.history.set([])
        if event.action == "raise":
            raise RuntimeError("in the middle")
        return "a stream"

    async def test(world: World) -> None:
        session = world.chat(clumsy)
        async with world.engine(clumsy) as engine:
            await world.turn(engine, session, "one", "u1")
            for action in ("raise", "return"):
                world.side.inbox.push(session.id, "action", {"action": action})
                assert await engine.run_turn("clumsy", session.id) == "failed"
                assert text_of(world.history(session)) == ["one", "hi"]
            await world.turn(engine, session, "two", "u2")
        assert text_of(world.history(session)) == ["one", "hi", "two", "hi"]

    live(redis_url, test)


def test_an_action_that_returns_a_stream_is_an_error(redis_url: str) -> None:
    @chat.agent("streamer")
    async def streamer(turn: chat.Turn[Any]) -> str:
        return "hi"

    streamer.on_action(lambda event: "a stream")

    async def test(world: World) -> None:
        session = world.chat(streamer)
        async with world.engine(streamer) as engine:
            _act(world, session, {"type": "x"})
            assert await engine.run_turn("streamer", session.id) == "failed"

    live(redis_url, test)


def _message(id: str, *parts: dict[str, Any], role: str = "user") -> dict[str, Any]:
    return {"id": id, "role": role, "parts": list(parts) or [{"type": "text", "text": id}]}


def test_the_verbs_of_history() -> None:
    call = {"type": "tool-ask", "toolCallId": "c1", "state": "input-available", "input": {}}
    done = {"type": "tool-ask", "toolCallId": "c2", "state": "output-available", "input": {}, "output": 1}
    history = chat.History([_message("a"), _message("b", call, done, role="assistant"), _message("c")])
    assert [ref.tool_call_id for ref in history.get_pending_tool_calls()] == ["c1"]
    assert [(ref.tool_name, ref.message_id) for ref in history.get_resolved_tool_calls()] == [("ask", "b")]
    news = _message("b", {**call, "state": "output-available", "output": 2}, done, role="assistant")
    assert [(each.tool_call_id, each.output) for each in history.extract_new_tool_results(news)] == [("c1", 2)]
    found = history.find_message("a")
    assert found == _message("a")
    found["parts"].clear()
    assert history.find_message("a") == _message("a")
    for verb in (history.remove, history.rollback_to, lambda name: history.replace(name, _message("x"))):
        verb("nobody")
    assert history.version == 0
    history.replace("c", _message("d"))
    history.remove("a")
    assert [each["id"] for each in history.all()] == ["b", "d"]
    history.rollback_to("b")
    assert [each["id"] for each in history.get_chain()] == ["b"]
