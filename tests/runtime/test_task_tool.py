"""Tasks and other agents as tools of a model: what they are told, what clients see, what crashes and stops do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel

from chatagent import TaskRun, ai, chat, stream_text, task
from chatagent.errors import ConfigError
from chatagent.llm import Tool
from tests.provider import LITELLM_WARNINGS, FakeProvider
from tests.runtime.fleet import Fleet, fleet
from tests.runtime.world import text_of, until

pytestmark = pytest.mark.filterwarnings(*LITELLM_WARNINGS)


class Query(BaseModel):
    query: str


class Client(BaseModel):
    plan: str = "free"


class Profile(BaseModel):
    name: str


profile = chat.local("task-tool-profile", Profile)


def test_a_task_knows_its_tool_call_its_chat_and_the_locals_of_its_parent(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner
) -> None:
    seen: dict[str, Any] = {}

    @task("research", schema=Query, description="Research a question.")
    async def research(query: Query) -> dict[str, Any]:
        context = ai.chat_context_or_raise(researcher)
        options = ai.current_tool_options()
        assert options is not None
        seen.update(call=ai.tool_call_id(), options=options.input, plan=context.client_data.plan, chat=context.chat_id)
        seen["name"] = profile.name
        with pytest.raises(ConfigError, match="parent"):
            profile.name = "other"
        assert await chat.stream.append({"type": "data-status", "id": "s", "data": 1}, target="root")
        assert await chat.stream.append({"type": "data-status", "id": "s", "data": 2}, target="parent")
        return {"found": query.query}

    @chat.agent("researcher", client_data=Client, tools=[ai.tool(research)])
    async def researcher(turn: chat.Turn[Client]) -> Any:
        profile.init(Profile(name="Ada"))
        return stream_text("openai/fake", turn.messages, api_base=provider.url, api_key="none")

    async def test(world: Fleet) -> None:
        async with world.worker(researcher, research):
            session = world.chat(researcher)
            world.say(session, 'call research {"query": "owls"}', metadata={"plan": "pro"})
            await world.dispatch("researcher", session.id, "turns")
            await until(lambda: len(world.history(session)) == 2)
            answer = world.history(session)[1]
            (part,) = [part for part in answer["parts"] if part["type"] == "tool-research"]
            assert part["output"] == {"found": "owls"}
            assert seen == {
                "call": part["toolCallId"],
                "options": {"query": "owls"},
                "plan": "pro",
                "chat": "c1",
                "name": "Ada",
            }
            assert [chunk["data"] for chunk in world.chunks(session) if chunk["type"] == "data-status"] == [1, 2]
            assert "data-status" not in {part["type"] for part in answer["parts"]}, "raw chunks are not stored"

    fleet(redis_url, test, runner=model_loop)


def test_a_tool_of_a_task_needs_a_model_of_its_input() -> None:
    @task("plain")
    async def plain(name: str) -> str:
        return name

    with pytest.raises(ConfigError, match="schema="):
        ai.tool(plain)
    made = Tool(name="own", input=Query, execute=ai.tool_execute(plain))
    assert made.execute is not None
    assert ai.chat_context() is None and ai.tool_call_id() is None
    with pytest.raises(ConfigError, match="no chat"):
        ai.chat_context_or_raise(chat.agent("any")(lambda turn: "x"))


def test_another_agent_answers_in_the_card_of_its_call_and_remembers(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner
) -> None:
    counts: list[int] = []
    shown = asyncio.Event()

    @chat.agent("expert", description="Knows it all.")
    async def expert(turn: chat.Turn[Any]) -> AsyncIterator[str]:
        counts.append(len(turn.messages))
        yield "first "
        await shown.wait()
        yield "second"

    @chat.agent("boss", tools=[ai.agent_tool(expert)])
    async def boss(turn: chat.Turn[Any]) -> Any:
        return stream_text("openai/fake", turn.messages, api_base=provider.url, api_key="none")

    async def test(world: Fleet) -> None:
        async with world.worker(boss, expert):
            session = world.chat(boss)
            for turn in (1, 2):
                world.say(session, 'call expert {"prompt": "why?"}', message_id=f"u{turn}")
                await world.dispatch("boss", session.id, "turns")
                await until(lambda: any(chunk.get("preliminary") for chunk in world.chunks(session)))
                shown.set()
                await until(lambda turn=turn: len(world.history(session)) == 2 * turn)  # type: ignore[misc]
            (part,) = [part for part in world.history(session)[1]["parts"] if part["type"] == "tool-expert"]
            assert text_of([part["output"]]) == ["first second"]
            told = [each for each in provider.requests[1].body["messages"] if each["role"] == "tool"]
            assert told[0]["content"] == "first second"
            assert counts == [1, 3], "the second call found the conversation of the first"
            assert len(world.side.history.read(world.side.sessions.get("c1.expert").id).messages) == 4

    fleet(redis_url, test, runner=model_loop)


def test_a_stop_reaches_the_agent_under_the_tool(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner
) -> None:
    stopped: list[bool] = []

    @chat.agent("talker")
    async def talker(turn: chat.Turn[Any]) -> AsyncIterator[str]:
        yield "talking"
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(turn.stopped)

    @chat.agent("listener", tools=[ai.agent_tool(talker)])
    async def listener(turn: chat.Turn[Any]) -> Any:
        return stream_text("openai/fake", turn.messages, api_base=provider.url, api_key="none")

    async def test(world: Fleet) -> None:
        async with world.worker(listener, talker):
            session = world.chat(listener)
            world.say(session, 'call talker {"prompt": "go"}')
            await world.dispatch("listener", session.id, "turns")
            await until(lambda: any(chunk.get("preliminary") for chunk in world.chunks(session)))
            world.stop(session)
            await until(lambda: stopped == [True])
            await until(lambda: world.history(session))

    fleet(redis_url, test, runner=model_loop)


def test_a_call_that_is_repeated_after_a_crash_does_not_run_its_task_twice(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner
) -> None:
    ran: list[str] = []
    gate = asyncio.Event()

    @task("dig", schema=Query)
    async def dig(query: Query, run: TaskRun) -> str:
        ran.append(query.query)
        await gate.wait()
        return "gold"

    @chat.agent("digger", tools=[ai.tool(dig)])
    async def digger(turn: chat.Turn[Any]) -> Any:
        return stream_text("openai/fake", turn.messages, api_base=provider.url, api_key="none")

    async def test(world: Fleet) -> None:
        async with world.worker(digger, dig, owner="alive"):
            session = world.chat(digger)
            world.say(session, 'call dig {"query": "here"}')
            async with world.mortal(digger) as (doomed, die):
                parent = asyncio.create_task(doomed.run_turn("digger", session.id))
                await until(lambda: ran == ["here"])
                die()
                await asyncio.gather(parent, return_exceptions=True)
            await until(lambda: [agent for agent, *_ in world.sent].count("digger") == 1)
            gate.set()
            await until(lambda: len(world.history(session)) == 2)
            (part,) = [part for part in world.history(session)[1]["parts"] if part["type"] == "tool-dig"]
            assert part["output"] == "gold"
            assert ran == ["here"]

    fleet(redis_url, test, runner=model_loop)
