"""Turns at awkward moments: hooks that change what came in, crashes, injections and summaries in each other's way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chatagent import chat, client_tool, stream_text, tool
from chatagent.errors import ConfigError
from chatagent.llm import Compaction
from tests.provider import LITELLM_WARNINGS, FakeProvider
from tests.redis.chat import gateway
from tests.runtime.test_recovery import expire_lease
from tests.runtime.world import World, live, text_of, until

_SAY: list[dict[str, Any]] = [
    {"content": "ok"},
    {"finish": "stop"},
    {"usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}},
]


def _call(name: str, args: str = "{}") -> list[dict[str, Any]]:
    return [
        {"tool": [{"index": 0, "id": "c1", "name": name, "args": args}]},
        {"finish": "tool_calls"},
        {"usage": {"prompt_tokens": 900, "completion_tokens": 100, "total_tokens": 1000}},
    ]


@client_tool
def ask(question: str) -> str:
    """Ask the user."""
    raise NotImplementedError


@tool
async def look() -> str:
    """Look."""
    return "snow"


def _run(url: str, runner: asyncio.Runner, test: Any) -> None:
    with gateway(url) as side:
        runner.run(test(World(url, side)))


@pytest.mark.filterwarnings(*LITELLM_WARNINGS)
def test_a_validation_that_copies_the_answer_to_a_question_keeps_the_assistants_message(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner
) -> None:
    seen: list[dict[str, Any]] = []
    shown: list[list[str]] = []

    @chat.agent("asks", tools=[ask])
    async def asks(turn: chat.Turn[Any]) -> Any:
        shown.append([part["type"] for part in turn.ui_messages[-1]["parts"]])
        return stream_text("openai/fake", turn.messages, api_base=provider.url, api_key="none")

    @asks.on_validate_messages
    def validate(event: chat.ValidateMessages) -> list[dict[str, Any]]:
        seen.extend(event.messages)
        return [{**message, "metadata": {"checked": True}} for message in event.messages]

    async def test(world: World) -> None:
        session = world.chat(asks)
        provider.script(_call("ask", '{"question": "which?"}'), _SAY)
        async with world.engine(asks) as engine:
            await world.turn(engine, session)
            answer = world.history(session)[-1]
            part = {
                "type": "tool-ask",
                "toolCallId": "c1",
                "state": "output-available",
                "output": "blue",
            }
            slim = {"id": answer["id"], "role": "assistant", "parts": [part]}
            world.side.inbox.push(session.id, "message", {"trigger": "submit-message", "message": slim})
            assert await engine.run_turn("asks", session.id) == "completed"
        assert seen[-1] == slim
        assert shown == [["text"], ["step-start", "tool-ask"]]
        history = world.history(session)
        assert [each["role"] for each in history] == ["user", "assistant"]
        roles = [each["role"] for each in provider.requests[-1].body["messages"]]
        assert roles == ["user", "assistant", "tool"], provider.requests[-1].body["messages"]
        assert history[0]["metadata"] == {"checked": True}

    _run(redis_url, model_loop, test)


def test_a_changed_question_stands_once_in_a_turn_that_is_resumed(redis_url: str) -> None:
    lengths: list[list[str]] = []
    first = asyncio.Event()

    @chat.agent("marks")
    async def marks(turn: chat.Turn[Any]) -> Any:
        lengths.append([f"{each['role']} {each.get('metadata')}" for each in turn.ui_messages])
        yield "some "
        if not first.is_set():
            first.set()
            await asyncio.Event().wait()
        yield "words"

    @marks.on_validate_messages
    def validate(event: chat.ValidateMessages) -> list[dict[str, Any]]:
        return [{**message, "metadata": {"checked": True}} for message in event.messages]

    async def test(world: World) -> None:
        session = world.chat(marks)
        async with world.engine(marks) as engine:
            world.say(session)
            dead = asyncio.create_task(engine.run_turn("marks", session.id))
            await until(lambda: any(chunk.get("delta") for chunk in world.chunks(session)))
            expire_lease(world, session)
            async with world.engine(marks, owner="w2") as other:
                await other.run_turn("marks", session.id)
            await engine.renew()
            await dead
        history = world.history(session)
        assert [each["role"] for each in history] == ["user", "assistant"], history
        assert history[0]["metadata"] == {"checked": True}

    live(redis_url, test)


@pytest.mark.filterwarnings(*LITELLM_WARNINGS)
@pytest.mark.parametrize("between", ["action", "refused", "stopped", "preload"])
def test_what_was_injected_waits_for_the_next_answer_whatever_comes_between(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner, between: str
) -> None:
    @chat.agent("injects")
    async def injects(turn: chat.Turn[Any]) -> Any:
        return stream_text("openai/fake", turn.messages, api_base=provider.url, api_key="none")

    @injects.on_turn_complete
    async def complete(event: chat.TurnComplete[Any]) -> None:
        if event.turn == 0 and not event.stopped and event.error is None:
            await chat.inject([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "[note]"}])

    @injects.on_action
    def act(event: chat.Action[Any, Any]) -> None:
        return None

    @injects.on_validate_messages
    def validate(event: chat.ValidateMessages) -> list[dict[str, Any]]:
        if event.messages[0]["id"] == "bad":
            raise ValueError("no")
        return event.messages

    async def test(world: World) -> None:
        session = world.chat(injects)
        provider.script(_SAY, _SAY, _SAY)
        async with world.engine(injects) as engine:
            await world.turn(engine, session)
            if between == "action":
                world.side.inbox.push(session.id, "action", {"action": {"type": "x"}})
            elif between == "preload":
                world.side.inbox.push(session.id, "preload", {})
            else:
                world.say(session, "x", "bad")
                if between == "stopped":
                    world.stop(session)
            await engine.run_turn("injects", session.id)
            await world.turn(engine, session, "next", "u2")
            read = [(each["role"], each["content"]) for each in provider.requests[-1].body["messages"]]
            assert ("system", "Be brief.") in read
            assert ("user", "[note]") in read
            await world.turn(engine, session, "after", "u3")
            read = [(each["role"], each["content"]) for each in provider.requests[-1].body["messages"]]
            assert not any(role == "system" for role, _ in read)
            assert ("user", "[note]") in read

    _run(redis_url, model_loop, test)


@pytest.mark.filterwarnings(*LITELLM_WARNINGS)
def test_an_agent_with_typed_parts_may_compact_between_steps(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner
) -> None:
    policy = Compaction[Any](should_compact=lambda event: event.source == "inner", summarize=lambda event: "short")

    @chat.agent("typed", tools=[look], compaction=policy, data_parts={"progress": int})
    async def typed(turn: chat.Turn[Any]) -> Any:
        return stream_text("openai/fake", turn.messages, api_base=provider.url, api_key="none")

    async def test(world: World) -> None:
        session = world.chat(typed)
        provider.script(_call("look"), _SAY)
        async with world.engine(typed) as engine:
            assert await world.turn(engine, session) == "completed"

    _run(redis_url, model_loop, test)


@pytest.mark.filterwarnings(*LITELLM_WARNINGS)
def test_no_summary_swallows_a_question_that_waits_for_the_user(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner
) -> None:
    policy = Compaction[Any](should_compact=lambda event: True, summarize=lambda event: "short")

    @chat.agent("waits", tools=[ask], compaction=policy)
    async def waits(turn: chat.Turn[Any]) -> Any:
        return stream_text("openai/fake", turn.messages, api_base=provider.url, api_key="none")

    async def test(world: World) -> None:
        session = world.chat(waits)
        provider.script(_call("ask", '{"question": "which?"}'), _SAY)
        async with world.engine(waits) as engine:
            await world.turn(engine, session)
            answer = world.history(session)[-1]
            part = {"type": "tool-ask", "toolCallId": "c1", "state": "output-available", "output": "blue"}
            slim = {"id": answer["id"], "role": "assistant", "parts": [part]}
            world.side.inbox.push(session.id, "message", {"trigger": "submit-message", "message": slim})
            assert await engine.run_turn("waits", session.id) == "completed"
        read = provider.requests[-1].body["messages"]
        assert [each["role"] for each in read] == ["user", "assistant", "tool"], read

    _run(redis_url, model_loop, test)


def test_the_answer_to_an_action_that_died_is_resumed_with_one_start(redis_url: str) -> None:
    first = asyncio.Event()

    @chat.agent("acts")
    async def acts(turn: chat.Turn[Any]) -> Any:
        yield "some "
        if turn.number == 1 and not first.is_set():
            first.set()
            await asyncio.Event().wait()
        yield "words"

    @acts.on_action
    def act(event: chat.Action[Any, Any]) -> Any:
        return chat.turn("and now?")

    async def test(world: World) -> None:
        session = world.chat(acts)
        async with world.engine(acts) as engine:
            await world.turn(engine, session)
            world.side.inbox.push(session.id, "action", {"action": {"type": "go"}})
            dead = asyncio.create_task(engine.run_turn("acts", session.id))
            await until(lambda: first.is_set())
            await until(lambda: world.chunks(session)[-1].get("delta") == "some ")
            expire_lease(world, session)
            async with world.engine(acts, owner="w2") as other:
                assert await other.run_turn("acts", session.id) == "completed"
            await engine.renew()
            await dead
        assert text_of(world.history(session)) == ["hi", "some words", "and now?", "some words"]
        starts = [chunk for chunk in world.chunks(session) if chunk["type"] == "start"]
        assert len(starts) == 1, "the log reaches back to the end of the turn before"

    live(redis_url, test)


def test_hooks_before_the_turn_see_what_the_hook_before_them_did_to_the_history(redis_url: str) -> None:
    told: list[tuple[list[str], int]] = []

    @chat.agent("edits")
    async def edits(turn: chat.Turn[Any]) -> str:
        told.append((text_of(turn.ui_messages), len(turn.messages)))
        return "done"

    @edits.on_chat_start
    def start(event: chat.ChatStart[Any]) -> None:
        greeting = {"id": "g", "role": "assistant", "parts": [{"type": "text", "text": "Welcome"}]}
        chat.history.set([greeting, *chat.history.all()])

    @edits.on_turn_start
    def turn_start(event: chat.TurnStart[Any]) -> None:
        told.append((text_of(event.ui_messages), len(event.messages)))

    async def test(world: World) -> None:
        session = world.chat(edits)
        async with world.engine(edits) as engine:
            await world.turn(engine, session)
        assert told == [(["Welcome", "hi"], 2)] * 2
        assert text_of(world.history(session)) == ["Welcome", "hi", "done"]

    live(redis_url, test)


def test_on_boot_is_tried_again_in_the_process_where_it_failed(redis_url: str) -> None:
    boots: list[str] = []

    @chat.agent("boots", idle_timeout=0)
    async def boots_(turn: chat.Turn[Any]) -> str:
        return "done"

    @boots_.on_boot
    def boot(event: chat.Boot[Any]) -> None:
        boots.append(event.run_id)
        if len(boots) == 1:
            raise RuntimeError("the database is away")

    async def test(world: World) -> None:
        session = world.chat(boots_)
        async with world.engine(boots_) as engine:
            assert await world.turn(engine, session) == "failed"
            assert await world.turn(engine, session, "again", "u2") == "completed"
            assert await world.turn(engine, session, "again", "u3") == "completed"
        assert len(boots) == 2

    live(redis_url, test)


@pytest.mark.parametrize(
    "options",
    [{"busy": "stear"}, {"stream_options": {"send_resoning": True}}, {"on_boot": "no"}, {"on_error": "no"}],
    ids=str,
)
def test_a_wrong_option_is_told_where_the_agent_is_defined(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"wrong|on_boot"):
        chat.agent("wrong", **options)(lambda turn: "x")


def test_deferred_work_that_is_no_work_is_told_at_once(redis_url: str) -> None:
    caught: list[BaseException] = []

    @chat.agent("defers")
    def defers(turn: chat.Turn[Any]) -> str:
        try:
            chat.defer(print)  # type: ignore[arg-type]
        except ConfigError as error:
            caught.append(error)
        return "done"

    async def test(world: World) -> None:
        session = world.chat(defers)
        async with world.engine(defers) as engine:
            assert await world.turn(engine, session) == "completed"
        assert len(caught) == 1

    live(redis_url, test)


def test_has_changed_is_false_before_there_is_a_value_and_true_for_what_json_cannot_say(redis_url: str) -> None:
    class Sandbox:
        port = 1

    user, box = chat.local("user", dict[str, int]), chat.local("box", Sandbox)
    told: list[bool] = []

    @chat.agent("locals")
    async def locals_(turn: chat.Turn[Any]) -> str:
        told.append(user.has_changed())
        box.init(Sandbox())
        told.append(box.has_changed())
        box.port = 2
        told.append(box.has_changed())
        told.append(box.has_changed())
        return "done"

    async def test(world: World) -> None:
        session = world.chat(locals_)
        async with world.engine(locals_) as engine:
            assert await world.turn(engine, session) == "completed"
        assert told == [False, False, True, False]

    live(redis_url, test)


def test_upsert_takes_the_event_of_the_hook_as_well(redis_url: str) -> None:
    @chat.agent("hydrates")
    async def hydrates(turn: chat.Turn[Any]) -> str:
        return "done"

    @hydrates.hydrate_messages
    async def hydrate(event: chat.HydrateMessages[Any]) -> list[dict[str, Any]]:
        stored = list(event.previous_messages)
        assert chat.upsert_incoming_message(stored, event)
        return stored

    async def test(world: World) -> None:
        session = world.chat(hydrates)
        async with world.engine(hydrates) as engine:
            assert await world.turn(engine, session) == "completed"
        assert text_of(world.history(session)) == ["hi", "done"]

    live(redis_url, test)
