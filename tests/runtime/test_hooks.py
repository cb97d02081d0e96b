"""Hooks: their order, fields and errors. The tables are those of the AI chat reference (its behaviours 48, 50-55)."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from pydantic import BaseModel

from chatagent import chat
from chatagent.agent.hook import HOOKS
from chatagent.agent.options import AgentOptions
from tests.runtime.world import World, live, text_of

#: The reference's fields per hook, in snake_case. `client_data` is where the reference has `clientData`.
FIELDS = {
    chat.Boot: "ctx chat_id run_id chat_access_token client_data continuation previous_run_id preloaded",
    chat.RecoveryBoot: "ctx chat_id run_id previous_run_id client_data cause settled_messages in_flight_users "
    "partial_assistant pending_tool_calls writer",
    chat.Preload: "ctx chat_id run_id chat_access_token client_data writer",
    chat.ChatStart: "ctx chat_id messages client_data run_id chat_access_token continuation previous_run_id "
    "preloaded writer",
    chat.ValidateMessages: "messages chat_id turn trigger",
    chat.HydrateMessages: "chat_id turn trigger incoming_messages previous_messages client_data continuation "
    "previous_run_id",
    chat.PrepareMessages: "messages reason chat_id turn client_data",
    chat.TurnStart: "ctx chat_id messages ui_messages turn run_id chat_access_token client_data continuation "
    "previous_run_id preloaded writer",
    chat.TurnComplete: "ctx chat_id messages ui_messages new_messages new_ui_messages response_message "
    "raw_response_message turn run_id chat_access_token client_data last_event_id stopped continuation "
    "previous_run_id preloaded usage total_usage finish_reason error",
    chat.BeforeTurnComplete: "ctx chat_id messages ui_messages new_messages new_ui_messages response_message "
    "raw_response_message turn run_id chat_access_token client_data last_event_id stopped continuation "
    "previous_run_id preloaded usage total_usage finish_reason error writer",
    chat.Action: "action ctx chat_id turn client_data ui_messages messages",
    chat.Compacted: "ctx summary messages message_count usage total_tokens input_tokens output_tokens step_number "
    "chat_id turn client_data writer",
    chat.ChatSuspend: "phase ctx chat_id run_id client_data turn messages ui_messages",
    chat.ChatResume: "phase ctx chat_id run_id client_data turn messages ui_messages",
}

#: Defaults of the reference's options, in seconds.
DEFAULTS = {
    "max_turns": 100,
    "turn_timeout_s": 3600.0,
    "token_ttl_s": 3600.0,
    "exit_after_preload_idle": False,
    "busy": "enqueue",
}


@pytest.mark.parametrize("event", FIELDS, ids=lambda event: event.__name__)
def test_an_event_has_the_fields_of_the_reference(event: Any) -> None:
    assert {each.name for each in fields(event)} == set(FIELDS[event].split())
    assert event.__dataclass_params__.frozen


def test_there_is_a_decorator_for_every_hook() -> None:
    agent: chat.Agent[Any] = chat.Agent("a", lambda turn: "")
    for name in HOOKS:
        hook = lambda event: None  # noqa: E731
        assert getattr(agent, name)(hook) is hook
        assert list(agent.of(name)) == [hook]


def test_options_have_the_defaults_of_the_reference() -> None:
    options = AgentOptions()
    assert {name: getattr(options, name) for name in DEFAULTS} == DEFAULTS


def _recorded(agent: chat.Agent[Any], calls: list[str]) -> chat.Agent[Any]:
    """Every hook of `agent` writes its name."""

    def note(name: str) -> Any:
        def hook(event: Any) -> Any:
            calls.append(name)
            if name in ("on_validate_messages", "prepare_messages"):
                return event.messages
            if name == "hydrate_messages":
                return [*event.previous_messages, *event.incoming_messages]
            return None

        return hook

    for name in HOOKS:
        agent.add(name, note(name))
    return agent


def test_hooks_run_in_the_order_of_the_reference(redis_url: str) -> None:
    calls: list[str] = []

    @chat.agent("ordered")
    async def ordered(turn: chat.Turn[Any]) -> str:
        calls.append("run")
        return "done"

    _recorded(ordered, calls)

    async def test(world: World) -> None:
        session = world.chat(ordered)
        async with world.engine(ordered) as engine:
            await world.turn(engine, session, "one", "u1")
            assert calls == [
                "on_boot",
                "on_validate_messages",
                "hydrate_messages",
                "prepare_messages",
                "on_chat_start",
                "on_turn_start",
                "run",
                "on_before_turn_complete",
                "on_turn_complete",
            ]
            calls.clear()
            await world.turn(engine, session, "two", "u2")
            assert calls == [
                "on_validate_messages",
                "hydrate_messages",
                "prepare_messages",
                "on_turn_start",
                "run",
                "on_before_turn_complete",
                "on_turn_complete",
            ]
            calls.clear()
        assert calls == ["on_chat_suspend"]
        calls.clear()
        async with world.engine(ordered, owner="w2") as other:
            await world.turn(other, session, "three", "u3")
        # The same run in a process that has not had it: it is booted, then resumed.
        assert calls[:3] == ["on_boot", "on_chat_resume", "on_validate_messages"]
        assert "on_chat_start" not in calls
        assert text_of(world.history(session)) == ["one", "done", "two", "done", "three", "done"]

    live(redis_url, test)


def test_the_record_is_on_the_wire_before_on_turn_complete_and_not_before_on_before_turn_complete(
    redis_url: str,
) -> None:
    @chat.agent("late")
    async def late(turn: chat.Turn[Any]) -> str:
        return "done"

    async def test(world: World) -> None:
        session = world.chat(late)
        seen: dict[str, bool] = {}

        def is_complete() -> bool:
            return any(each.control == "turn-complete" for each in world.side.outbox.read(session.id, -1))

        @late.on_before_turn_complete
        def before(event: chat.BeforeTurnComplete[Any]) -> None:
            seen["before"] = is_complete()
            event.writer.write({"type": "data-metadata", "data": {"turn": event.turn}})

        @late.on_turn_complete
        def after(event: chat.TurnComplete[Any]) -> None:
            seen["after"] = is_complete()
            assert event.response_message is not None
            assert event.response_message["parts"][-1] == {"type": "data-metadata", "data": {"turn": 0}}
            assert event.ui_messages == world.history(session)
            assert event.new_ui_messages == event.ui_messages
            assert int(event.last_event_id or -1) == world.side.sessions.get("c1").complete_seq

        async with world.engine(late) as engine:
            await world.turn(engine, session)
        assert seen == {"before": False, "after": True}

    live(redis_url, test)


@pytest.mark.parametrize(
    "name",
    ["on_boot", "on_validate_messages", "hydrate_messages", "on_chat_start", "on_turn_start", "prepare_messages"],
)
def test_a_hook_that_raises_ends_the_turn_with_an_error_and_the_chat_lives_on(redis_url: str, name: str) -> None:
    broken = [True]
    ran: list[str] = []

    @chat.agent("fragile")
    async def fragile(turn: chat.Turn[Any]) -> str:
        ran.append("run")
        return "fine"

    def hook(event: Any) -> Any:
        if broken:
            broken.clear()
            raise RuntimeError("secret")
        if name == "hydrate_messages":
            return [*event.previous_messages, *event.incoming_messages]
        return getattr(event, "messages", None) if name in ("on_validate_messages", "prepare_messages") else None

    fragile.add(name, hook)

    async def test(world: World) -> None:
        session = world.chat(fragile)
        async with world.engine(fragile) as engine:
            assert await world.turn(engine, session, "one", "u1") == "failed"
            assert world.chunks(session)[-1] == {"type": "error", "errorText": "An error occurred."}
            assert ran == []
            assert await world.turn(engine, session, "two", "u2") == "completed"
        assert text_of(world.history(session))[-1] == "fine"

    live(redis_url, test)


def test_a_failed_turn_tells_on_turn_complete_its_error_and_keeps_the_question(redis_url: str) -> None:
    events: list[chat.TurnComplete[Any]] = []

    @chat.agent("failing")
    async def failing(turn: chat.Turn[Any]) -> Any:
        yield "half an "
        yield {"type": "data-note", "data": 1}
        raise RuntimeError("model down")

    failing.on_turn_complete(events.append)

    async def test(world: World) -> None:
        session = world.chat(failing)
        async with world.engine(failing) as engine:
            assert await world.turn(engine, session, "why?") == "failed"
        (event,) = events
        assert isinstance(event.error, RuntimeError)
        assert event.finish_reason == "error"
        assert not event.stopped
        assert event.response_message is not None
        assert [part["type"] for part in event.response_message["parts"]] == ["step-start", "text", "data-note"]
        assert text_of(world.history(session)) == ["why?", "half an "]

    live(redis_url, test)


class Client(BaseModel):
    user_id: str


def test_invalid_client_data_is_an_error_and_no_code_of_the_author_is_called(redis_url: str) -> None:
    calls: list[str] = []

    @chat.agent("typed", client_data=Client)
    async def typed(turn: chat.Turn[Client]) -> str:
        calls.append(turn.client_data.user_id)
        return "hi"

    @typed.on_boot
    def boot(event: chat.Boot[Client]) -> None:
        calls.append(f"boot {event.client_data.user_id}")

    async def test(world: World) -> None:
        session = world.chat(typed)
        async with world.engine(typed) as engine:
            world.say(session, metadata={"user_id": 7})
            assert await engine.run_turn("typed", session.id) == "failed"
            assert calls == []
            world.say(session, message_id="u2", metadata={"user_id": "ada"})
            assert await engine.run_turn("typed", session.id) == "completed"
        assert calls == ["boot ada", "ada"]

    live(redis_url, test)


def test_refused_messages_are_not_stored_and_changed_ones_are(redis_url: str) -> None:
    @chat.agent("strict")
    async def strict(turn: chat.Turn[Any]) -> str:
        return str(turn.messages[-1]["content"])

    @strict.on_validate_messages
    def check(event: chat.ValidateMessages) -> list[dict[str, Any]]:
        (message,) = event.messages
        text = message["parts"][0]["text"]
        if text == "bad":
            raise ValueError(text)
        return [{**message, "parts": [{"type": "text", "text": text.upper()}]}]

    async def test(world: World) -> None:
        session = world.chat(strict)
        async with world.engine(strict) as engine:
            assert await world.turn(engine, session, "bad", "u1") == "failed"
            assert world.history(session) == []
            assert await world.turn(engine, session, "good", "u2") == "completed"
        assert text_of(world.history(session)) == ["GOOD", "GOOD"]

    live(redis_url, test)


def test_prepare_messages_has_the_last_word_on_what_the_model_reads(redis_url: str) -> None:
    @chat.agent("prepared")
    async def prepared(turn: chat.Turn[Any]) -> str:
        return " ".join(str(message["content"]) for message in turn.messages)

    @prepared.prepare_messages
    async def prepare(event: chat.PrepareMessages[Any]) -> list[dict[str, Any]]:
        assert event.reason == "run"
        return [{"role": "system", "content": "first"}, *event.messages]

    async def test(world: World) -> None:
        session = world.chat(prepared)
        async with world.engine(prepared) as engine:
            await world.turn(engine, session, "hello")
        assert text_of(world.history(session))[1] == "first hello"

    live(redis_url, test)


def test_hydrated_messages_become_the_history(redis_url: str) -> None:
    rows: list[dict[str, Any]] = [{"id": "a", "role": "user", "parts": [{"type": "text", "text": "from the database"}]}]

    @chat.agent("hydrated")
    async def hydrated(turn: chat.Turn[Any]) -> str:
        return str(len(turn.messages))

    @hydrated.hydrate_messages
    async def load(event: chat.HydrateMessages[Any]) -> list[dict[str, Any]]:
        stored = list(rows)
        assert chat.upsert_incoming_message(stored, event.incoming_messages)
        assert not chat.upsert_incoming_message(stored, event.incoming_messages)
        return stored

    async def test(world: World) -> None:
        session = world.chat(hydrated)
        async with world.engine(hydrated) as engine:
            await world.turn(engine, session, "hello")
        assert text_of(world.history(session)) == ["from the database", "hello", "2"]

    live(redis_url, test)


def test_tools_may_be_chosen_for_every_turn(redis_url: str) -> None:
    def greet(name: str) -> str:
        """Greet."""
        return name

    def choose(event: chat.ToolsFor[Client]) -> list[Any]:
        return [greet] if event.client_data.user_id == "ada" else []

    @chat.agent("chosen", client_data=Client, tools=choose)
    async def chosen(turn: chat.Turn[Client]) -> str:
        return ",".join(turn.tools)

    async def test(world: World) -> None:
        session = world.chat(chosen)
        async with world.engine(chosen) as engine:
            for at, user in enumerate(("ada", "bob")):
                world.say(session, message_id=f"u{at}", metadata={"user_id": user})
                assert await engine.run_turn("chosen", session.id) == "completed"
        assert text_of(world.history(session))[1::2] == ["greet", ""]

    live(redis_url, test)
