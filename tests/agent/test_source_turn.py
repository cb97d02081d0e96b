"""Streams of other frameworks in real turns: usage, errors, stops, approvals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, DeferredToolRequests, DeferredToolResults
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from chatagent import chat
from chatagent.errors import ConfigError
from tests.provider import FakeProvider
from tests.runtime.world import World, live, text_of, until

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with FakeProvider() as running:
        yield running


def talker(provider: FakeProvider) -> chat.Agent[Any]:
    """An agent that returns the stream of the openai package as it is."""

    @chat.agent("talker")
    async def talk(turn: chat.Turn[Any]) -> AsyncIterator[Any]:
        async with openai.AsyncOpenAI(base_url=provider.url, api_key="x", max_retries=0) as client:
            ask: Any = client.chat.completions.create
            options = {"stream": True, "stream_options": {"include_usage": True}}
            async with await ask(model="m", messages=turn.messages, **options) as stream:
                async for chunk in stream:
                    yield chunk

    return talk


def test_the_usage_of_a_foreign_stream_is_the_turns(redis_url: str, provider: FakeProvider) -> None:
    events: list[chat.TurnComplete[Any]] = []
    talk = talker(provider)
    talk.on_turn_complete(events.append)
    provider.script([{"content": "Hi"}, {"finish": "length"}, {"usage": USAGE}])

    async def test(world: World) -> None:
        session = world.chat(talk)
        async with world.engine(talk) as engine:
            assert await world.turn(engine, session) == "completed"
        assert text_of(world.history(session)) == ["hi", "Hi"]
        assert events[0].usage == {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}
        assert events[0].finish_reason == "length"

    live(redis_url, test)


def test_an_error_of_a_foreign_stream_is_the_turns_and_the_partial_stays(
    redis_url: str, provider: FakeProvider
) -> None:
    talk = talker(provider)
    provider.script([{"content": "So far"}, {"error": {"message": "overloaded", "type": "server_error"}}])

    async def test(world: World) -> None:
        session = world.chat(talk)
        async with world.engine(talk) as engine:
            assert await world.turn(engine, session) == "failed"
        assert text_of(world.history(session)) == ["hi", "So far"]
        assert world.chunks(session)[-1] == {"type": "error", "errorText": "An error occurred."}

    live(redis_url, test)


def test_a_stop_ends_a_foreign_stream_and_keeps_what_it_said(redis_url: str, provider: FakeProvider) -> None:
    talk = talker(provider)
    provider.script([{"content": "So far"}, {"hang": True}])

    async def test(world: World) -> None:
        session = world.chat(talk)
        async with world.engine(talk) as engine:
            turn = asyncio.create_task(world.turn(engine, session))
            await until(lambda: any(chunk["type"] == "text-delta" for chunk in world.chunks(session)))
            world.stop(session)
            assert await turn == "stopped"
            assert await asyncio.to_thread(provider.closed_early.wait, 10)
        assert text_of(world.history(session)) == ["hi", "So far"]

    live(redis_url, test)


class Weather(BaseModel):
    city: str


class Meta(BaseModel):
    model: str
    tokens: int = 0


def test_data_and_metadata_are_checked_however_they_are_written(redis_url: str) -> None:
    errors: list[BaseException | None] = []

    @chat.agent("typed", data_parts={"weather": Weather}, message_metadata_schema=Meta)
    async def typed(turn: chat.Turn[Any]) -> AsyncIterator[Any]:
        chat.response.write({"type": "data-weather", "data": Weather(city="Rome")})
        yield {"type": "message-metadata", "messageMetadata": {"model": "demo"}}
        yield {"type": "data-weather", "data": Weather(city="Oslo")}
        yield {"type": "message-metadata", "messageMetadata": {"tokens": 3}}
        yield {"type": turn.messages[-1]["content"], "data": {"town": "Bonn"}}

    typed.on_turn_complete(lambda event: errors.append(event.error))

    async def test(world: World) -> None:
        session = world.chat(typed)
        async with world.engine(typed) as engine:
            assert await world.turn(engine, session, "data-weather", "u1") == "failed"
            assert await world.turn(engine, session, "data-wether", "u2") == "failed"
        answer = world.history(session)[1]
        assert [part["data"] for part in answer["parts"]] == [{"city": "Rome"}, {"city": "Oslo"}]
        assert answer["metadata"] == {"model": "demo", "tokens": 3}
        assert [type(error) for error in errors] == [ConfigError, ConfigError]
        assert "data-weather: city: Field required" in str(errors[0])
        assert "no such data part" in str(errors[1])

    live(redis_url, test)


@asynccontextmanager
async def cashier(provider: FakeProvider) -> AsyncIterator[Agent[None, Any]]:
    """An agent of pydantic-ai whose tool waits for a yes."""
    door = OpenAIProvider(base_url=provider.url, api_key="x")
    made: Agent[None, Any] = Agent(OpenAIChatModel("m", provider=door), output_type=[str, DeferredToolRequests])

    @made.tool_plain(requires_approval=True)
    def pay(euros: int) -> str:
        return f"paid {euros}"

    try:
        yield made
    finally:
        await door.client.close()


def test_an_approval_that_pydantic_ai_asks_for_goes_on_in_the_next_turn(redis_url: str, provider: FakeProvider) -> None:
    histories: dict[str, list[Any]] = {}

    @chat.agent("cashier")
    async def answer(turn: chat.Turn[Any]) -> None:
        states = {part["toolCallId"]: part for part in turn.ui_messages[-1]["parts"] if "toolCallId" in part}
        granted = {call_id: part["approval"]["approved"] for call_id, part in states.items()}
        async with (
            cashier(provider) as made,
            made.iter(
                None if granted else "pay 3",
                message_history=histories.get(turn.chat_id),
                deferred_tool_results=DeferredToolResults(approvals=granted) if granted else None,
            ) as run,
        ):
            await turn.pipe(run)
            assert run.result is not None
            histories[turn.chat_id] = run.result.all_messages()

    wanted = {"index": 0, "id": "c1", "name": "pay", "args": '{"euros": 3}'}
    provider.script([{"tool": [wanted]}, {"finish": "tool_calls"}], [{"content": "Done."}, {"finish": "stop"}])

    async def test(world: World) -> None:
        session = world.chat(answer)
        async with world.engine(answer) as engine:
            assert await world.turn(engine, session) == "completed"
            asked = world.history(session)[-1]
            (call,) = [part for part in asked["parts"] if part["type"] == "tool-pay"]
            assert call["state"] == "approval-requested"
            call |= {"state": "approval-responded", "approval": {"id": call["approval"]["id"], "approved": True}}
            world.side.inbox.push(session.id, "message", {"message": asked, "trigger": "submit-message"})
            assert await engine.run_turn("cashier", session.id) == "completed"
        message = world.history(session)[-1]
        (paid,) = [part for part in message["parts"] if part["type"] == "tool-pay"]
        assert (paid["state"], paid["output"]) == ("output-available", "paid 3")
        assert message["parts"][-1]["text"] == "Done."

    live(redis_url, test)
