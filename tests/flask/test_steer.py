"""A message that is steered into a running answer, from another device, with a real worker and a model."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from websockets.sync.client import connect

from tests.flask.talk import Socket, text_of, user
from tests.provider import FakeProvider
from tests.stack import SECRET, Stack

pytestmark = pytest.mark.e2e

AGENTS = """
import asyncio, os
from pathlib import Path
from chatagent import chat, step_count_is, stream_text, tool

@tool
async def wait_for(path: str) -> str:
    while not Path(path).exists():
        await asyncio.sleep(0.01)
    return "it is there"

@chat.agent("helper", tools=[wait_for])
async def helper(turn):
    return stream_text(
        "openai/fake", turn.messages, stop_when=step_count_is(5), api_base=os.environ["PROVIDER"], api_key="x"
    )
"""


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with FakeProvider() as provider:
        yield provider


def test_a_message_is_steered_into_the_running_answer(own_stack: Stack, provider: FakeProvider) -> None:
    file, gate = own_stack.folder / "agents.py", own_stack.folder / "gate"
    file.write_text(AGENTS)
    own_stack.env["PROVIDER"] = provider.url
    call = {"index": 0, "id": "c1", "name": "wait_for", "args": json.dumps({"path": str(gate)})}
    provider.script([{"tool": [call]}, {"finish": "tool_calls"}], [{"content": "as you like"}, {"finish": "stop"}])
    with own_stack.worker(file), own_stack.gateway() as gateway:
        url = gateway.url.replace("http", "ws", 1) + f"/api/chat/ws?token={SECRET}"
        with connect(url, proxy=None) as one, connect(url, proxy=None, max_queue=None) as other:
            ours, theirs = Socket(one), Socket(other)
            ours.send("s1", "c1", "go", body={"agent": "helper"})
            frames = [ours.get()]
            while frames[-1].get("chunk", {}).get("type") != "tool-input-available":
                frames.append(ours.get(timeout_s=60))
            theirs.put("watch", requestId="w", id="c1")
            theirs.put("steer", requestId="t", id="c1", message=user("be brief", "u2"))
            assert theirs.until("ok")[-1]["seq"] == 1
            theirs.put("queue", requestId="q", id="c1")
            (entry,) = theirs.until("queue", request_id="q")[-1]["queue"]
            assert (entry["busy"], entry["message"]["id"]) == ("steer", "u2")
            gate.touch()
            frames += ours.until("end", request_id="s1")
            # Who watches sees that it no longer waits.
            while (waiting := theirs.until("queue", request_id="w")[-1]["queue"]) != []:
                assert waiting == [entry]
    chunks = [frame["chunk"] for frame in frames if "chunk" in frame]
    (marker,) = [chunk for chunk in chunks if chunk["type"] == "steering-message"]
    assert marker["id"] == "u2"
    assert text_of(chunks) == "as you like"
    assert "be brief" in json.dumps(provider.requests[1].body["messages"])
    assert len(provider.requests) == 2, "it is no turn of its own"
