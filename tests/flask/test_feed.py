"""What all chats of a person or a tag do, live: a real worker, real sockets."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.flask.fleet import TOKENS, Chats
from tests.flask.talk import Socket
from tests.redis_server import discard, new_redis
from tests.stack import SECRET


@pytest.fixture(scope="module")
def chats(redis_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chats]:
    """One fleet for all tests of this file; each has chats and tags of its own."""
    redis = new_redis(redis_binary)
    fleet = Chats(redis, tmp_path_factory.mktemp("fleet"))
    yield fleet
    fleet.close()
    discard(redis)


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
    chats.create("old", ann, tags=["mine"])
    chats.create("foreign", TOKENS.mint(scopes, ttl_s=600, user="bob"))
    with chats.socket(ann) as ws:
        ws.put("watch", requestId="w", all=True)
        assert ws.get() == {"type": "start", "requestId": "w"}
        listed = ws.get()
        assert (listed["type"], listed["cursor"]) == ("chats", None)
        assert [(chat["id"], chat["state"], chat["tags"]) for chat in listed["chats"]] == [("old", "new", ["mine"])]
        # A new chat shows up by itself, goes through its states, and ends.
        chats.create("c1", ann)
        follow(ws, "c1", "new")
        chats.ask("c1")
        follow(ws, "c1", "running")
        chats.gate("c1").touch()
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
    chats.gate("foreign").touch()


def test_a_chat_still_waits_when_an_earlier_approval_was_answered(chats: Chats) -> None:
    chats.create("w1")
    with chats.socket(SECRET) as ws:

        def after(turn: int) -> tuple[str, list[str]]:
            """How the chat stands when so many turns have ended."""
            while True:
                chat = ws.get().get("chat", {})
                if (chat.get("id"), chat.get("turn")) == ("w1", turn) and chat["state"] not in ("queued", "running"):
                    return chat["state"], [each["toolCallId"] for each in chat["waiting"]]

        ws.put("watch", requestId="w", all=True)
        for turn, call in enumerate(("early", "late"), 1):
            chats.ask("w1", f"ask {call}")
            assert after(turn) == ("waiting", [call])
        approval = {"id": "ap-early", "approved": True}
        part = {"type": "tool-pay", "toolCallId": "early", "state": "approval-responded", "approval": approval}
        ws.put("send", requestId="s", id="w1", messages=[{"id": "any", "role": "assistant", "parts": [part]}])
        assert after(3) == ("waiting", ["late"])


def test_a_stop_is_told(chats: Chats) -> None:
    chats.create("s1")
    with chats.socket(SECRET) as ws:
        ws.put("watch", requestId="w", all=True)
        chats.ask("s1")
        follow(ws, "s1", "running")
        ws.put("stop", requestId="s", id="s1")
        follow(ws, "s1", "stopped")


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
        chats.create(f"p{number}", tags=["paged"])
    headers = {"Authorization": f"Bearer {SECRET}"}
    seen, cursor = list[str](), None
    for _ in range(3):
        query = {"tag": "paged", "limit": "2", **({"cursor": cursor} if cursor else {})}
        found = chats.http.get("/api/chats", params=query, headers=headers).json()
        seen += [chat["id"] for chat in found["chats"]]
        cursor = found["cursor"]
    assert sorted(seen) == [f"p{number}" for number in range(5)]
    assert cursor is None
    assert chats.http.get("/api/chats", params={"limit": "0"}, headers=headers).status_code == 400
    assert chats.http.get("/api/chats", params={"cursor": "x"}, headers=headers).status_code == 400


def test_the_feed_as_server_sent_events(chats: Chats) -> None:
    chats.create("e1", tags=["events"])
    states: list[str] = []
    query = {"tag": "events"}
    with chats.http.stream(
        "GET", "/api/chats/feed", params=query, headers={"Authorization": f"Bearer {SECRET}"}
    ) as response:
        lines = response.iter_lines()
        assert next(line for line in lines if line.startswith("event")) == "event: chats"
        chats.gate("e1").touch()
        threading.Thread(target=chats.ask, args=("e1",)).start()
        for line in lines:
            if line.startswith("data: ") and '"state"' in line:
                told = json.loads(line.removeprefix("data: "))
                states += [told["state"]] if "state" in told else []
                if states[-1:] == ["completed"]:
                    break
    assert {*states} <= {"new", "queued", "running", "completed"}


def test_who_may_have_missed_changes_gets_the_list_again(chats: Chats) -> None:
    chats.create("l1", tags=["lost"])
    with chats.socket(SECRET) as ws:
        ws.put("watch", requestId="w", tag="lost")
        ws.until("chats")
        with chats.stack.redis.client() as client:
            client.client_kill_filter(_type="pubsub")
            # A change that nobody was told of.
            session = client.get(chats.stack.keys.ext("l1"))
            assert isinstance(session, bytes)
            client.hset(chats.stack.keys.session(session.decode()), "title", "new title")
        assert ws.until("chats")[-1]["chats"][0]["title"] == "new title"
