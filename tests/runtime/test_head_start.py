"""A turn whose first step was made elsewhere: told to readers, gone on with, and not made again when a worker dies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from chatagent import chat, tool
from chatagent.errors import BadRequest
from chatagent.flask.sessions.head_start import read_asked, read_handover
from chatagent.llm import stream_text
from chatagent.ui import fold_message
from tests.provider import LITELLM_WARNINGS, FakeProvider
from tests.runtime.test_every_death import die_after
from tests.runtime.world import World, live

CALL = {"toolCallId": "c", "toolName": "look"}
ASKED = {
    "messages": [
        {"id": "u0", "role": "user", "parts": [{"type": "text", "text": "before"}]},
        {"id": "a0", "role": "assistant", "parts": [{"type": "text", "text": "then", "state": "done"}]},
        {"id": "u1", "role": "user", "parts": [{"type": "text", "text": "hi"}]},
    ],
    "metadata": {"who": "ann"},
}
APPROVED = {"type": "tool-approval-response", "approvalId": "handover-approval-1", "approved": True}
CALLED: list[dict[str, Any]] = [
    {
        "role": "assistant",
        "content": [
            {"type": "text", "text": "let me look"},
            {"type": "tool-call", **CALL, "input": {"at": "it"}},
            {"type": "tool-approval-request", "approvalId": "handover-approval-1", "toolCallId": "c"},
        ],
    },
    {"role": "tool", "content": [APPROVED]},
]


def handover(said: list[dict[str, Any]], *, final: bool) -> dict[str, Any]:
    """The payload of a message with a head start."""
    record = {"kind": "handover", "partialAssistantMessage": said, "messageId": "a1", "isFinal": final}
    return read_handover("c1", record, ASKED, None).payload


def test_a_final_step_is_the_answer_and_hooks_are_told_of_it(redis_url: str) -> None:
    told: list[Any] = []

    @chat.agent("guide")
    async def guide(turn: chat.Turn[Any]) -> AsyncIterator[str]:
        raise AssertionError("there is nothing left to answer")
        yield ""

    @guide.on_turn_complete
    async def note(event: chat.TurnComplete[Any]) -> None:
        told.append((event.response_message, event.client_data))

    async def test(world: World) -> None:
        session = world.chat(guide)
        world.side.inbox.push(session.id, "message", handover([{"role": "assistant", "content": "said"}], final=True))
        async with world.engine(guide) as engine:
            assert await engine.run_turn("guide", session.id) == "completed"
        *before, answer = world.history(session)
        assert [message["id"] for message in before] == ["u0", "a0", "u1"]
        parts = [{"type": "step-start"}, {"type": "text", "text": "said", "state": "done"}]
        assert answer == {"id": "a1", "role": "assistant", "parts": parts}
        assert fold_message(world.chunks(session)) == answer
        assert told == [(answer, {"who": "ann"})]

    live(redis_url, test)


@pytest.mark.filterwarnings(*LITELLM_WARNINGS)
@pytest.mark.parametrize("written", [0, 1, 3, 6, 7])
def test_an_open_call_of_the_step_is_run_once_wherever_a_worker_dies(
    redis_url: str, provider: FakeProvider, written: int
) -> None:
    looked: list[str] = []

    @tool
    async def look(at: str) -> str:
        """Look."""
        looked.append(at)
        return "seen"

    @chat.agent("scout", tools=[look])
    async def scout(turn: chat.Turn[Any]) -> Any:
        return stream_text("openai/fake", turn.messages, api_base=provider.url, api_key="x")

    provider.script([{"content": "there"}, {"finish": "stop"}])

    async def test(world: World) -> None:
        session = world.chat(scout)
        payload = handover(CALLED, final=False)
        world.side.inbox.push(session.id, "message", payload)
        step = [{"type": "start", "messageId": "a1"}, *payload["handover"]["chunks"]]
        assert len(step) == 6
        if written:
            done = {"type": "tool-output-available", "toolCallId": "c", "output": "seen"}
            await die_after(world, session, [*step, done][:written])
        async with world.engine(scout) as engine:
            assert await engine.run_turn("scout", session.id) == "completed"
        answer = world.history(session)[-1]
        assert [part.get("text") or part["type"] for part in answer["parts"]] == [
            *("step-start", "let me look", "tool-look"),
            *("step-start", "there"),
        ]
        assert answer["parts"][2]["output"] == "seen"
        assert fold_message(world.chunks(session)) == answer

    live(redis_url, test)
    assert looked == ([] if written == 7 else ["it"])


@pytest.mark.parametrize(
    "payload",
    [{}, {"headStartMessages": []}, {"headStartMessages": [{"id": "a", "role": "assistant", "parts": []}]}],
)
def test_a_head_start_needs_a_question(payload: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        read_asked(payload)


@pytest.mark.parametrize(
    "said",
    [None, "text", ["text"], [{}], [{"content": [{}]}], [{"content": [{"type": "tool-call"}]}], [{"content": 5}]],
)
def test_a_step_that_is_none_is_refused(said: Any) -> None:
    with pytest.raises(BadRequest):
        read_handover("c1", {"partialAssistantMessage": said, "isFinal": True}, ASKED, None)


def test_a_step_holds_what_its_tools_answered() -> None:
    outputs = [
        {"type": "tool-result", "toolCallId": "a", "output": {"type": "json", "value": {"b": 1}}},
        {"type": "tool-result", "toolCallId": "b", "output": {"type": "error-json", "value": [1]}},
        {"type": "tool-result", "toolCallId": "c", "output": {"type": "execution-denied"}},
    ]
    calls = [{"type": "tool-call", "toolCallId": each["toolCallId"], "toolName": "t"} for each in outputs]
    said = [{"role": "assistant", "content": calls}, {"role": "tool", "content": outputs}]
    chunks = handover(said, final=False)["handover"]["chunks"]
    assert chunks[0] == {"type": "start-step"}
    assert chunks[4:] == [
        {"type": "tool-output-available", "toolCallId": "a", "output": {"b": 1}},
        {"type": "tool-output-error", "toolCallId": "b", "errorText": "[1]"},
        {"type": "tool-output-denied", "toolCallId": "c"},
        {"type": "finish-step"},
    ]
