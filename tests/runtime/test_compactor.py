"""Compaction inside a turn and between turns, and what the model reads after it (behaviour 55)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chatagent import chat, stream_text, tool
from chatagent.llm import Compaction, ShouldCompact, Summarize
from chatagent.ui import fold_message
from tests.provider import LITELLM_WARNINGS, FakeProvider
from tests.redis.chat import gateway
from tests.runtime.world import World

_CALL: list[dict[str, Any]] = [
    {"tool": [{"index": 0, "id": "c1", "name": "look", "args": "{}"}]},
    {"finish": "tool_calls"},
    {"usage": {"prompt_tokens": 900, "completion_tokens": 100, "total_tokens": 1000}},
]
_SAY: list[dict[str, Any]] = [
    {"content": "ok"},
    {"finish": "stop"},
    {"usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}},
]


def _summarise(event: Summarize[Any]) -> str:
    return f"{event.source}: {len(event.messages)} messages"


@tool
async def look() -> str:
    """Look."""
    return "snow"


def _agent(provider: FakeProvider, should_compact: Any, reasons: list[str], events: list[Any]) -> chat.Agent[Any]:
    @chat.agent("long", tools=[look], compaction=Compaction(should_compact=should_compact, summarize=_summarise))
    async def long(turn: chat.Turn[Any]) -> Any:
        return stream_text("openai/fake", turn.messages, api_base=provider.url, api_key="none")

    @long.prepare_messages
    def prepare(event: chat.PrepareMessages[Any]) -> list[dict[str, Any]]:
        reasons.append(event.reason)
        return event.messages

    @long.on_compacted
    def compacted(event: chat.Compacted[Any]) -> None:
        events.append(event)
        event.writer.write({"type": "data-compaction", "data": {"step": event.step_number}, "transient": True})

    return long


@pytest.mark.filterwarnings(*LITELLM_WARNINGS)
@pytest.mark.parametrize("where", ["inner", "outer"])
def test_a_long_conversation_is_summed_up_for_the_model_and_stays_for_people(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner, where: str
) -> None:
    reasons: list[str] = []
    events: list[Any] = []

    def should_compact(event: ShouldCompact[Any]) -> bool:
        if event.source != where or event.turn > 0:
            return False
        return (event.total_tokens or 0) >= (1000 if where == "inner" else 15)

    async def test(world: World) -> None:
        agent = _agent(provider, should_compact, reasons, events)
        session = world.chat(agent)
        provider.script(_CALL, _SAY, _SAY)
        async with world.engine(agent) as engine:
            await world.turn(engine, session, "question 0", "u0")
            answer = world.history(session)[1]
            assert fold_message(world.chunks(session)) == answer
        async with world.engine(agent, owner="w2") as other:
            await world.turn(other, session, "question 1", "u1")
        assert [message["role"] for message in world.history(session)] == ["user", "assistant"] * 2

    with gateway(redis_url) as side:
        model_loop.run(test(World(redis_url, side)))
    told = [[str(m.get("content")) for m in request.body["messages"]] for request in provider.requests]
    count = 3 if where == "inner" else 4
    summary = f"Summary of the conversation so far:\n\n{where}: {count} messages"
    if where == "inner":
        assert told[1] == [summary, "question 0"]
        assert told[2] == [summary, "question 0", "ok", "question 1"]
    else:
        assert told[1] == ["question 0", "None", "snow"]
        assert told[2] == [summary, "question 1"]
    assert [event.step_number for event in events] == [1 if where == "inner" else -1]
    assert events[0].message_count == count
    assert reasons == ["run", "compaction-result", "compaction-rebuild"]
