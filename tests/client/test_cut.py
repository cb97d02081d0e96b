"""The connection is cut after every single record of a turn: nothing is lost, nothing comes twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chatagent.client import Chat
from tests.client.colour import LIMITS, Colour, Told
from tests.client.conftest import NewCutter, Plan
from tests.client.cutter import Cutter
from tests.flask.gateway_app import SECRET
from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker, Turn, say

Chunk = dict[str, Any]

_CALL = {"toolCallId": "call1", "toolName": "search"}
#: A turn with everything in it.
TURN: list[Chunk] = [
    {"type": "start", "messageId": "a1", "messageMetadata": {"model": "m"}},
    {"type": "start-step"},
    {"type": "reasoning-start", "id": "r1"},
    *[{"type": "reasoning-delta", "id": "r1", "delta": f"thought {at} "} for at in range(5)],
    {"type": "reasoning-end", "id": "r1"},
    {"type": "tool-input-start", **_CALL},
    *[{"type": "tool-input-delta", "toolCallId": "call1", "inputTextDelta": part} for part in ('{"q":', '"x"', "}")],
    {"type": "tool-input-available", **_CALL, "input": {"q": "x"}},
    {"type": "data-progress", "id": "d1", "data": 1},
    {"type": "data-progress", "id": "d1", "data": 2},
    {"type": "tool-output-available", "toolCallId": "call1", "output": ["found"]},
    {"type": "source-url", "sourceId": "s1", "url": "https://example.com"},
    {"type": "finish-step"},
    {"type": "start-step"},
    {"type": "text-start", "id": "t1"},
    *[{"type": "text-delta", "id": "t1", "delta": f"w{at} "} for at in range(16)],
    {"type": "text-end", "id": "t1"},
    {"type": "finish-step"},
    {"type": "finish", "finishReason": "stop", "messageMetadata": {"usage": {"totalTokens": 7}}},
]
TEXT = "".join(f"w{at} " for at in range(16))
#: With it, no message is sent again: the running answer is resumed.
RESUMING = replace(LIMITS, same_s=-1)


def options(cutter: Cutter, chat_id: str, **further: Any) -> dict[str, Any]:
    return {"url": cutter.url, "agent": "echo", "chat_id": chat_id, "secret_key": SECRET, "limits": LIMITS, **further}


def split(cutter: Cutter, at: int, chunks: list[Chunk] = TURN) -> Callable[[Turn], None]:
    """Write so many chunks, and the rest when the reader is back."""

    def answer(turn: Turn) -> None:
        if at:
            turn.append(*chunks[:at])
        assert cutter.back.wait(30), "the reader never came back"
        turn.commit(*chunks[at:])

    return answer


def at_once(turn: Turn) -> None:
    turn.commit(*TURN)


def check(told: Told, cutter: Cutter) -> None:
    assert cutter.cut.is_set()
    assert told.chunks == TURN
    assert told.text == told.result.text == TEXT
    assert (told.result.outcome, told.result.finish_reason) == ("completed", "stop")
    assert told.result.usage == {"totalTokens": 7}


def test_the_turn_has_forty_records() -> None:
    assert len(TURN) == 40


def test_cut_after_any_record_of_an_answer_that_was_written_meanwhile(
    colour: Colour, cut_after: NewCutter, worker: ScriptedWorker
) -> None:
    worker.serve(at_once)
    for at in range(len(TURN) + 1):
        cutter = cut_after(at)
        check(colour.ask(options(cutter, f"c{at}"), "send", "go"), cutter)


@pytest.mark.parametrize("limits", [LIMITS, RESUMING], ids=["sent-again", "resumed"])
def test_cut_after_any_record_of_an_answer_that_is_being_written(
    colour: Colour, cut_after: NewCutter, plan: Plan, limits: Any
) -> None:
    for at in range(len(TURN)):
        cutter = cut_after(at)
        plan.append(split(cutter, at))
        check(colour.ask(options(cutter, f"c{at}", limits=limits), "send", "go"), cutter)


def test_cut_after_any_record_of_an_answer_that_only_the_history_has(
    colour: Colour, cut_after: NewCutter, worker: ScriptedWorker, gateway: GatewayProcess
) -> None:
    worker.serve(at_once)
    for at in range(1, len(TURN) + 1):
        cutter = cut_after(at)
        told = colour.ask(options(cutter, f"c{at}", limits=RESUMING), "send", "go")
        assert told.text == TEXT
        with Chat(gateway.url, chat_id=f"c{at}", secret_key=SECRET) as chat:
            stored = chat.history()[-1]
        assert told.result.text == TEXT
        assert [part["type"] for part in told.result.message["parts"]] == [part["type"] for part in stored["parts"]]
        assert told.result.message["id"] == "a1"


def test_cut_after_any_record_of_a_resumed_answer(
    colour: Colour, cut_after: NewCutter, plan: Plan, gateway: GatewayProcess
) -> None:
    for at in range(len(TURN)):
        cutter = cut_after(at)
        plan.append(split(cutter, at))
        with Chat(gateway.url, "echo", chat_id=f"c{at}", secret_key=SECRET) as chat:
            chat.send("go").close()
        check(colour.ask(options(cutter, f"c{at}"), "resume"), cutter)


def test_cut_after_any_record_of_another_answer(
    colour: Colour, cut_after: NewCutter, plan: Plan, gateway: GatewayProcess
) -> None:
    again = [{**TURN[0], "messageId": "a2"}, *TURN[1:]]
    for at in range(len(TURN)):
        cutter = cut_after(at)
        with Chat(gateway.url, "echo", chat_id=f"c{at}", secret_key=SECRET) as chat:
            plan.append(lambda turn: turn.commit(*say("first")))
            chat.send("go").result()
        plan.append(split(cutter, at, again))
        told = colour.ask(options(cutter, f"c{at}"), "regenerate")
        assert told.chunks == again
        with Chat(gateway.url, chat_id=f"c{at}", secret_key=SECRET) as chat:
            assert [message["role"] for message in chat.history()] == ["user", "assistant"]
