"""The client against real workers and gateways that come and go."""

from __future__ import annotations

import signal
from contextlib import suppress
from dataclasses import replace

import pytest

from chatagent.client import Chat, Limits
from tests.stack import SECRET, Stack, free_port

pytestmark = pytest.mark.e2e

AGENTS = """
import asyncio
from pathlib import Path
from chatagent import chat

@chat.agent("writer")
async def writer(turn):
    gate = Path(turn.ui_messages[0]["parts"][0]["text"])
    for number in range(10):
        yield f"w{number} "
    while not gate.exists():
        await asyncio.sleep(0.02)
    for number in range(10, 20):
        yield f"w{number} "
"""
TEXT = "".join(f"w{number} " for number in range(20))
PATIENT = Limits(retries=60, pause_s=0.05, longest_pause_s=0.5)


@pytest.mark.parametrize("limits", [PATIENT, replace(PATIENT, same_s=-1)], ids=["sent-again", "resumed"])
def test_a_gateway_is_killed_and_replaced_in_the_middle_of_an_answer(stack: Stack, limits: Limits) -> None:
    file, gate, port = stack.folder / "agents.py", stack.folder / "gate", free_port()
    file.write_text(AGENTS)
    with stack.worker(file):
        with suppress(AssertionError), stack.gateway(port=port) as first:
            chat = Chat(first.url, "writer", secret_key=SECRET, limits=limits)
            answer = chat.send(str(gate))
            text = answer.text_stream()
            said = next(text)
            first.process.kill()
        with stack.gateway(port=port):
            gate.touch()
            assert said + "".join(text) == TEXT
            assert answer.result().message == chat.history()[-1]
            chat.close()


def test_a_worker_is_killed_in_the_middle_of_an_answer(own_stack: Stack) -> None:
    file, gate = own_stack.folder / "agents.py", own_stack.folder / "gate"
    file.write_text(AGENTS)
    own_stack.env |= {"CHATAGENT_LEASE_S": "1", "CHATAGENT_SWEEP_S": "0.2", "CHATAGENT_CLAIM_GRACE_S": "1"}
    with own_stack.gateway() as gateway, Chat(gateway.url, "writer", secret_key=SECRET, limits=PATIENT) as chat:
        with own_stack.worker(file) as doomed:
            answer = chat.send(str(gate))
            seen = [next(answer)]
            while seen[-1]["type"] != "text-delta":
                seen.append(next(answer))
            doomed.send(signal.SIGKILL)
            doomed.kill()
        gate.touch()
        with own_stack.worker(file):
            seen += list(answer)
            result = answer.result()
            assert "reset-step" in [chunk["type"] for chunk in seen]
            assert (result.text, result.outcome) == (TEXT, "completed")
            assert result.message == chat.history()[-1]


def test_reading_the_same_answer_in_two_places(stack: Stack) -> None:
    file, gate = stack.folder / "agents.py", stack.folder / "gate"
    file.write_text(AGENTS)
    with (
        stack.worker(file),
        stack.gateway() as gateway,
        Chat(gateway.url, "writer", chat_id="c1", secret_key=SECRET) as chat,
        Chat(gateway.url, chat_id="c1", secret_key=SECRET) as second,
    ):
        first = chat.send(str(gate))
        other = second.resume()
        assert other is not None
        gate.touch()
        assert first.result().message == other.result().message
        assert second.resume() is None
