"""What becomes of a summary when the messages that it sums up are answered again or edited."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chatagent import chat, stream_text, tool
from chatagent.llm import Compaction
from tests.provider import LITELLM_WARNINGS, FakeProvider
from tests.redis.chat import gateway
from tests.runtime.world import World

_SAY: list[dict[str, Any]] = [
    {"content": "ok"},
    {"finish": "stop"},
    {"usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}},
]


@pytest.mark.filterwarnings(*LITELLM_WARNINGS)
@pytest.mark.parametrize("how", ["next", "regenerate", "edit last", "edit first"])
def test_a_summary_is_read_only_while_all_that_it_sums_up_is_there(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner, how: str
) -> None:
    policy = Compaction[Any](should_compact=lambda event: event.turn == 1, summarize=lambda event: "short")

    @chat.agent("sums", compaction=policy)
    async def sums(turn: chat.Turn[Any]) -> Any:
        return stream_text("openai/fake", turn.messages, api_base=provider.url, api_key="none")

    summary = "Summary of the conversation so far:\n\nshort"
    wanted = {
        "next": [summary, "three"],
        "regenerate": ["one", "ok", "two"],
        "edit last": ["one", "ok", "three"],
        "edit first": ["three"],
    }

    async def test(world: World) -> None:
        session = world.chat(sums)
        provider.script(_SAY, _SAY, _SAY, _SAY)
        async with world.engine(sums) as engine:
            await world.turn(engine, session, "one", "u1")
            await world.turn(engine, session, "two", "u2")
            if how == "regenerate":
                world.side.inbox.push(session.id, "message", {"trigger": "regenerate-message"})
                await engine.run_turn("sums", session.id)
            else:
                message_id = {"next": "u3", "edit last": "u2", "edit first": "u1"}[how]
                await world.turn(engine, session, "three", message_id)
        read = [each["content"] for each in provider.requests[-1].body["messages"]]
        assert read == wanted[how]

    with gateway(redis_url) as side:
        model_loop.run(test(World(redis_url, side)))


@pytest.mark.filterwarnings(*LITELLM_WARNINGS)
def test_a_plain_tool_that_raises_stop_iteration_is_an_error_of_the_tool(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner
) -> None:
    @tool
    def first(n: int) -> str:
        """Give the first of nothing."""
        return str(next(iter(())))

    @chat.agent("firsts", tools=[first])
    async def firsts(turn: chat.Turn[Any]) -> Any:
        return stream_text("openai/fake", turn.messages, api_base=provider.url, api_key="none")

    async def test(world: World) -> None:
        session = world.chat(firsts)
        call = {"tool": [{"index": 0, "id": "c1", "name": "first", "args": '{"n": 1}'}]}
        provider.script([call, {"finish": "tool_calls"}], _SAY)
        async with world.engine(firsts) as engine, asyncio.timeout(20):
            assert await world.turn(engine, session) == "completed"
        states = [part["state"] for part in world.history(session)[-1]["parts"] if part["type"] == "tool-first"]
        assert states == ["output-error"]

    with gateway(redis_url) as side:
        model_loop.run(test(World(redis_url, side)))
