"""A message that is steered into a running answer, from another device, at another gateway."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.e2e.server import Server
from tests.flask.talk import Socket, text_of, user
from tests.provider import FakeProvider
from tests.stack import Gateway

pytestmark = pytest.mark.e2e


def test_a_message_is_steered_into_the_running_answer(
    server: Server, gateways: list[Gateway], provider: FakeProvider, gate: Path
) -> None:
    started = server.start("model")
    call = {"index": 0, "id": "c1", "name": "wait_for", "args": json.dumps({"gate": str(gate)})}
    text = json.dumps([[{"tool": [call]}, {"finish": "tool_calls"}]])
    here, there = (f"{each.url.replace('http', 'ws', 1)}/api/chat/ws?token={started.token}" for each in gateways)
    with connect(here, proxy=None) as one, connect(there, proxy=None, max_queue=None) as other:
        ours, theirs = Socket(one), Socket(other)
        ours.send("s1", started.chat_id, text, body={})
        frames = [ours.get()]
        while frames[-1].get("chunk", {}).get("type") != "tool-input-available":
            frames.append(ours.get(timeout_s=60))
        theirs.put("watch", requestId="w", id=started.chat_id)
        theirs.put("steer", requestId="t", id=started.chat_id, message=user("be brief", "u2"))
        assert theirs.until("ok")[-1]["seq"] == 1
        theirs.put("queue", requestId="q", id=started.chat_id)
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
    assert text_of(chunks) == "You said: be brief"
    asked = [request.body for request in provider.requests if str(gate) in json.dumps(request.body)]
    assert "be brief" in json.dumps(asked[1]["messages"])
    assert len(asked) == 2, "it is no turn of its own"
