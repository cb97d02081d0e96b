"""What all chats of a person or a tag do, live: a real worker, real sockets."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from chatagent.flask import Tokens
from tests.flask.talk import Socket, user
from tests.redis_server import RedisServer
from tests.stack import SECRET, Gateway, Stack

AGENTS = """
import asyncio
from pathlib import Path
from chatagent import chat

@chat.agent("gate")
async def gate(turn):
    said = turn.ui_messages[-1]["parts"][0].get("text", "")
    if said == "fail":
        raise RuntimeError("no")
    if said == "ask":
        yield {"type": "start-step"}
        yield {"type": "tool-input-available", "toolCallId": "c1", "toolName": "pay", "input": {}}
        yield {"type": "tool-approval-request", "approvalId": "ap1", "toolCallId": "c1"}
        yield {"type": "finish-step"}
        return
    yield "one "
    while said and not Path(said).exists() and not turn.signal.aborted:
        await asyncio.sleep(0.01)
    yield "two"
"""
TOKENS = Tokens(SECRET)


class Chats:
    """One gateway with one worker, and who talks to them."""

    def __init__(self, stack: Stack, gateway: Gateway) -> None:
        self.stack = stack
        self.gateway = gateway
        self.gate = stack.folder / "gate"
        self.http = httpx.Client(base_url=gateway.url, trust_env=False, timeout=30)

    def create(self, chat_id: str, token: str = SECRET, **fields: Any) -> None:
        """Make a chat."""
        answer = self.http.post(
            "/api/v1/sessions",
            json={"externalId": chat_id, "taskIdentifier": "gate", "type": "chat.agent", **fields},
            headers={"Authorization": f"Bearer {token}"},
        )
        assert answer.status_code in (200, 201), answer.text

    def ask(self, chat_id: str, text: str = "") -> None:
        """Send a message and do not wait for its answer."""
        payload = {"trigger": "submit-message", "message": user(text or str(self.gate), f"u-{chat_id}-{text}")}
        answer = self.http.post(
            f"/realtime/v1/sessions/{chat_id}/in/append",
            json={"kind": "message", "payload": payload},
            headers={"Authorization": f"Bearer {SECRET}"},
        )
        assert answer.status_code == 200, answer.text

    def post(self, path: str) -> None:
        """Call a route as a server."""
        answer = self.http.post(path, json={}, headers={"Authorization": f"Bearer {SECRET}"})
        assert answer.status_code == 200, answer.text

    @contextmanager
    def socket(self, token: str) -> Iterator[Socket]:
        """A WebSocket."""
        url = self.gateway.url.replace("http", "ws", 1) + f"/api/chat/ws?token={token}"
        with connect(url, compression=None, proxy=None) as ws:
            yield Socket(ws)


@pytest.fixture
def chats(own_stack: Stack) -> Iterator[Chats]:
    file = own_stack.folder / "agents.py"
    file.write_text(AGENTS)
    with own_stack.worker(file), own_stack.gateway() as gateway:
        chats = Chats(own_stack, gateway)
        yield chats
        chats.http.close()


def follow(ws: Socket, chat_id: str, *states: str) -> list[dict[str, Any]]:
    """The changes of a chat until it went through these states, in this order."""
    told: list[dict[str, Any]] = []
    for state in states:
        while not told or told[-1]["state"] != state:
            frame = ws.get()
            if frame["type"] == "chat" and frame["chat"]["id"] == chat_id:
                told.append(frame["chat"])
    return told


def test_a_person_sees_what_their_chats_do(chats: Chats) -> None:
    scopes = ("read:sessions", "write:sessions", "write:tasks")
    ann = TOKENS.mint(scopes, ttl_s=600, user="ann")
    chats.create("old", ann, tags=["team"])
    chats.create("foreign", TOKENS.mint(scopes, ttl_s=600, user="bob"))
    with chats.socket(ann) as ws:
        ws.put("watch", requestId="w", all=True)
        assert ws.get() == {"type": "start", "requestId": "w"}
        listed = ws.get()
        assert (listed["type"], listed["cursor"]) == ("chats", None)
        assert [(chat["id"], chat["state"], chat["tags"]) for chat in listed["chats"]] == [("old", "new", ["team"])]
        # A new chat shows up by itself, goes through its states, and ends.
        chats.create("c1", ann)
        follow(ws, "c1", "new")
        chats.ask("c1")
        follow(ws, "c1", "running")
        chats.gate.touch()
        assert follow(ws, "c1", "completed")[-1]["turn"] == 1
        chats.ask("c1", "ask")
        waiting = follow(ws, "c1", "waiting")[-1]
        assert waiting["waiting"] == [{"toolCallId": "c1", "toolName": "pay", "state": "approval-requested"}]
        chats.ask("old", "fail")
        follow(ws, "old", "failed")
        chats.post("/api/v1/sessions/old/close")
        follow(ws, "old", "closed")
        # The list as it stands now: last active first.
        ws.put("watch", requestId="again", user="ann")
        frames = ws.until("chats")
        assert [(chat["id"], chat["state"]) for chat in frames[-1]["chats"]] == [("old", "closed"), ("c1", "waiting")]
        # Of the chats of others nothing was told.
        ws.put("unwatch", requestId="again")
        chats.ask("foreign")
        ws.put("ping", requestId="p")
        assert [frame["type"] for frame in ws.until("pong")] == ["end", "pong"]


def test_a_stop_is_told(chats: Chats) -> None:
    chats.create("c1")
    with chats.socket(SECRET) as ws:
        ws.put("watch", requestId="w", all=True)
        chats.ask("c1")
        follow(ws, "c1", "running")
        ws.put("stop", requestId="s", id="c1")
        follow(ws, "c1", "stopped")


def test_a_token_for_a_tag_sees_that_tag_alone(chats: Chats) -> None:
    chats.create("in", tags=["team"])
    chats.create("out", tags=["other"])
    token = TOKENS.mint(["read:tags:team"], ttl_s=600)
    with chats.socket(token) as ws:
        for asked in ({"tag": "other"}, {"user": "ann"}, {"all": True}):
            ws.put("watch", requestId="no", **asked)
            assert ws.get()["code"] == "forbidden"
        ws.put("watch", requestId="w", tag="team")
        assert [chat["id"] for chat in ws.until("chats")[-1]["chats"]] == ["in"]
        ws.put("watch", requestId="no", id="in")
        assert ws.get()["code"] == "forbidden", "the feed is no right to read the chat"
        # A chat that loses the tag is gone from the feed, and nothing more of it is told.
        answer = chats.http.patch(
            "/api/v1/sessions/in", json={"tags": []}, headers={"Authorization": f"Bearer {SECRET}"}
        )
        assert answer.status_code == 200
        (gone,) = [frame["chat"] for frame in ws.until("chat") if frame["type"] == "chat"]
        assert set(gone) == {"sessionId", "state"}
        assert gone["state"] == "gone"


def test_pages_of_the_list(chats: Chats) -> None:
    for number in range(5):
        chats.create(f"c{number}")
    headers = {"Authorization": f"Bearer {SECRET}"}
    seen, cursor = list[str](), None
    for _ in range(3):
        query = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        found = chats.http.get("/api/chats", params=query, headers=headers).json()
        seen += [chat["id"] for chat in found["chats"]]
        cursor = found["cursor"]
    assert sorted(seen) == [f"c{number}" for number in range(5)]
    assert cursor is None
    assert chats.http.get("/api/chats", params={"limit": "0"}, headers=headers).status_code == 400
    assert chats.http.get("/api/chats", params={"cursor": "x"}, headers=headers).status_code == 400


def test_the_feed_as_server_sent_events(chats: Chats) -> None:
    chats.create("c1")
    states: list[str] = []
    with chats.http.stream("GET", "/api/chats/feed", headers={"Authorization": f"Bearer {SECRET}"}) as response:
        lines = response.iter_lines()
        assert next(line for line in lines if line.startswith("event")) == "event: chats"
        chats.gate.touch()
        threading.Thread(target=chats.ask, args=("c1",)).start()
        for line in lines:
            if line.startswith("data: ") and '"state"' in line:
                told = json.loads(line.removeprefix("data: "))
                states += [told["state"]] if "state" in told else []
                if states[-1:] == ["completed"]:
                    break
    assert {*states} <= {"new", "queued", "running", "completed"}


def test_who_may_have_missed_changes_gets_the_list_again(chats: Chats, own_redis: RedisServer) -> None:
    chats.create("c1")
    with chats.socket(SECRET) as ws:
        ws.put("watch", requestId="w", all=True)
        ws.until("chats")
        with own_redis.client() as client:
            client.client_kill_filter(_type="pubsub")
            # A change that nobody was told of.
            session = client.get(chats.stack.keys.ext("c1"))
            assert isinstance(session, bytes)
            client.hset(chats.stack.keys.session(session.decode()), "title", "new title")
        assert ws.until("chats")[-1]["chats"][0]["title"] == "new title"
