"""A worker dies in the middle of a response; the response and its chat go on with the next one."""

from __future__ import annotations

import signal

import httpx
import pytest
from openai import OpenAI

from tests.loopback import LOOPBACK
from tests.stack import SECRET, Stack

pytestmark = pytest.mark.e2e

AGENTS = """
import asyncio
from pathlib import Path
from chatagent import chat

@chat.agent("writer")
async def writer(turn):
    said = turn.ui_messages[0]["parts"][0]["text"]
    if len(turn.ui_messages) > 2:
        yield f"{len(turn.ui_messages)} messages"
        return
    yield "one "
    while not Path(said).exists():
        await asyncio.sleep(0.02)
    yield "two"
"""


def test_a_previous_response_goes_on_after_its_worker_died(own_stack: Stack) -> None:
    file, gate = own_stack.folder / "agents.py", own_stack.folder / "gate"
    file.write_text(AGENTS)
    own_stack.env |= {"CHATAGENT_LEASE_S": "1", "CHATAGENT_SWEEP_S": "0.2", "CHATAGENT_CLAIM_GRACE_S": "1"}
    plain = httpx.Client(**LOOPBACK)
    with (
        own_stack.gateway() as gateway,
        OpenAI(base_url=f"{gateway.url}/v1", api_key=SECRET, http_client=plain) as client,
    ):
        with own_stack.worker(file) as doomed:
            stream = client.responses.create(model="writer", input=str(gate), stream=True)
            first = next(event for event in stream if event.type == "response.output_text.delta")
            assert first.delta == "one "
            doomed.kill()
            assert doomed.exit_code == -signal.SIGKILL
        gate.touch()
        with own_stack.worker(file):
            final = list(stream)[-1]
            assert final.type == "response.completed"
            assert final.response.output_text == "one two"
            second = client.responses.create(model="writer", input="b", previous_response_id=final.response.id)
            assert second.output_text == "3 messages"
