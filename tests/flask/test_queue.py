"""Messages that wait: seen by every watcher, listed, edited, cancelled; and what they do while a chat is busy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.flask.conftest import NewGateway
from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker, Turn, echo, say
from tests.flask.talk import Socket, body, chunks_of, socket, text_of, until, user
from tests.loopback import LOOPBACK


def texts(queue: list[dict[str, Any]]) -> list[str]:
    """What the waiting messages say."""
    return [entry["message"]["parts"][0]["text"] for entry in queue]


def queue_of(ws: Socket, request_id: str, expected: list[str]) -> list[dict[str, Any]]:
    """The first `queue` frame of a watch that says just this."""
    while True:
        frame = ws.until("queue", request_id=request_id)[-1]
        queue: list[dict[str, Any]] = frame["queue"]
        if texts(queue) == expected:
            return queue


@pytest.fixture
def busy(gateway: GatewayProcess, worker: ScriptedWorker) -> Iterator[Callable[[str], Turn]]:
    """Makes a chat that is being answered, until the end of the test."""
    turns: list[Turn] = []
    with socket(gateway) as ws:

        def make(chat_id: str) -> Turn:
            ws.send(f"first-{chat_id}", chat_id, "first", "u0")
            turns.append(worker.claim())
            turns[-1].append(*say("the first")[:3])
            return turns[-1]

        yield make


def test_every_watcher_sees_what_waits_and_what_becomes_of_it(
    gateway: GatewayProcess, worker: ScriptedWorker, busy: Callable[[str], Turn]
) -> None:
    turn = busy("c1")
    reader, unread = gateway.token("read:sessions:c1"), {"max_queue": None}
    with socket(gateway, **unread) as one, socket(gateway, reader, **unread) as other, socket(gateway) as sender:
        one.put("watch", requestId="w", id="c1")
        other.put("watch", requestId="w", id="c1")
        sender.send("s1", "c1", "second", "u1")
        for ws in (one, other):
            (entry,) = queue_of(ws, "w", ["second"])
            assert (entry["kind"], entry["busy"], entry["trigger"]) == ("message", "enqueue", "submit-message")
        one.put("edit", requestId="e", id="c1", messageId="u1", message=user("changed", "other-id"))
        assert one.until("ok")[-1]["message"]["id"] == "u1", "it keeps its id"
        queue_of(other, "w", ["changed"])
        sender.send("s2", "c1", "third", "u2")
        queue_of(other, "w", ["changed", "third"])
        one.put("cancel", requestId="x", id="c1", messageId="u2")
        assert texts([one.until("ok")[-1]]) == ["third"]
        queue_of(other, "w", ["changed"])
        kinds = [frame["type"] for frame in sender.until("end", request_id="s2")]
        assert kinds == ["start", "start", "end"], "who waits for its answer waits for nothing"
        turn.commit(*say("the first")[3:])
        worker.claim().commit(*say("the second", message_id="a2"))
        queue_of(other, "w", [])
        chunks = [frame["chunk"] for frame in sender.until("end", request_id="s1")[:-1]]
        assert text_of(chunks) == "the second"


def test_a_watch_begins_with_what_waits(gateway: GatewayProcess, busy: Callable[[str], Turn]) -> None:
    busy("c1")
    with socket(gateway) as ws:
        ws.put("steer", requestId="s", id="c1", messages=[user("more", "u1")])
        assert ws.get()["type"] == "ok"
        ws.put("watch", requestId="w", id="c1")
        assert ws.get()["type"] == "start"
        (entry,) = ws.get()["queue"]
        assert (entry["busy"], entry["message"]["id"]) == ("steer", "u1")
        ws.put("queue", requestId="q", id="c1")
        assert ws.until("queue", request_id="q")[-1]["queue"] == [entry]


def test_the_queue_over_http(gateway: GatewayProcess, worker: ScriptedWorker, busy: Callable[[str], Turn]) -> None:
    turn = busy("a/b")
    path = "/api/chat/a%2Fb/queue"
    with gateway.http(gateway.token()) as http:
        assert http.get(path).json() == {"queue": []}
        with socket(gateway) as ws:
            ws.send("s", "a/b", "second", "u1")
            (entry,) = until(lambda: http.get(path).json()["queue"], "a waiting message")
        changed = http.patch(f"{path}/{entry['seq']}", json={"busy": "merge"}).json()
        assert (changed["busy"], changed["message"]) == ("merge", entry["message"])
        for changes, status in (({}, 400), ({"busy": "later"}, 400), ({"message": {"role": "user"}}, 400)):
            assert http.patch(f"{path}/u1", json=changes).status_code == status
        assert http.patch(f"{path}/u0", json={"busy": "steer"}).status_code == 404, "it is being answered"
        assert http.patch(f"{path}/u1", json={"message": user("new", "u1")}).json()["message"] == user("new", "u1")
        assert http.delete(f"{path}/u1").json()["seq"] == entry["seq"]
        assert http.delete(f"{path}/u1").status_code == 404
        assert http.get(path).json() == {"queue": []}
    turn.commit(*say("the first")[3:])


def test_who_may_only_read_changes_nothing(gateway: GatewayProcess, busy: Callable[[str], Turn]) -> None:
    busy("c1")
    with socket(gateway) as ws:
        ws.put("steer", requestId="s", id="c1", message=user("more", "u1"))
        assert ws.get()["type"] == "ok"
    token = gateway.token("read:sessions:c1")
    with socket(gateway, token) as ws, gateway.http(token) as http:
        ws.put("watch", requestId="w", id="c1")
        queue_of(ws, "w", ["more"])
        for kind, fields in (
            ("steer", {"message": user("no", "u2")}),
            ("edit", {"messageId": "u1", "busy": "enqueue"}),
            ("cancel", {"messageId": "u1"}),
            ("action", {"action": {"type": "undo"}}),
            ("stop", {}),
        ):
            ws.put(kind, requestId="no", id="c1", **fields)
            assert ws.until("error", request_id="no")[-1]["code"] == "forbidden", kind
        assert http.delete("/api/chat/c1/queue/u1").status_code == 403
        assert http.post("/api/chat/c1/action", json={"action": 1}).status_code == 403
        assert len(http.get("/api/chat/c1/queue").json()["queue"]) == 1
    with socket(gateway, gateway.token("read:sessions:other")) as ws:
        ws.put("queue", requestId="q", id="c1")
        assert ws.get()["code"] == "forbidden"


def test_a_message_that_is_to_be_rejected(gateway: GatewayProcess, busy: Callable[[str], Turn]) -> None:
    busy("c1")
    with gateway.http(gateway.token()) as http, socket(gateway) as ws:
        answer = http.post("/api/chat", json=body("c1", "second", "u1", busy="reject"))
        assert (answer.status_code, answer.json()["code"]) == (409, "busy")
        assert "when its answer has ended" in answer.json()["error"]
        ws.send("s", "c1", "second", "u1", busy="reject")
        assert ws.get()["code"] == "busy"
        ws.send("s", "c1", "second", "u1", body={"agent": "echo", "busy": "reject"})
        assert ws.get()["code"] == "busy"
        ws.send("s", "c1", "second", "u1", busy="perhaps")
        assert ws.get()["code"] == "bad_request"


def test_a_message_that_interrupts_stops_the_answer(
    gateway: GatewayProcess, worker: ScriptedWorker, busy: Callable[[str], Turn]
) -> None:
    turn = busy("c1")
    with socket(gateway) as ws:
        ws.send("s", "c1", "now", "u1", busy="interrupt")
        until(lambda: turn.append({"type": "message-metadata", "messageMetadata": {"still": 1}}), "the stop")
        turn.commit({"type": "abort"}, outcome="stopped")
        worker.claim().commit(*say("the second", message_id="a2"))
        assert text_of(ws.answer("s")) == "the second"


def test_an_action_is_answered_like_a_message(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    with gateway.http(gateway.token()) as http, socket(gateway) as ws:
        chunks_of(http.post("/api/chat", json=body("c1", "first")))
        seen = http.post("/api/chat/c1/action", json={"action": {"type": "undo"}, "metadata": {"by": "ann"}})
        assert (seen.status_code, set(seen.json())) == (202, {"seq"})
        accept = {"Accept": "text/event-stream"}
        streamed = http.post("/api/chat/c1/action", json={"action": "again"}, headers=accept)
        assert chunks_of(streamed)[-1]["type"] == "finish"
        ws.put("action", requestId="a", id="c1", action={"type": "undo"})
        assert ws.answer("a")[-1]["type"] == "finish"
        assert http.post("/api/chat/c1/action", json={}).status_code == 400
        assert http.post("/api/chat/none/action", json={"action": 1}).status_code == 404


def test_pages_elsewhere_may_cancel(gateway_with: NewGateway) -> None:
    gateway = gateway_with(allowed_origins=["https://app.example"])
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "DELETE"}
    answer = httpx.options(f"{gateway.url}/api/chat/c1/queue/u1", headers=asked, **LOOPBACK)
    assert "DELETE" in answer.headers["Access-Control-Allow-Methods"]


def test_many_watchers_of_many_chats_on_one_socket(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    with socket(gateway) as ws, socket(gateway, max_queue=None) as sender:
        for number in range(3):
            sender.send(f"s{number}", f"c{number}", "zero")
            sender.answer(f"s{number}")
            ws.put("watch", requestId=f"w{number}", id=f"c{number}")
            ws.until("start", request_id=f"w{number}")
        for number in (2, 0, 1):
            sender.send(f"t{number}", f"c{number}", f"one of {number}", "u2")
        said: dict[str, str] = {}
        ended = 0
        while ended < 3:
            frame = ws.get()
            if frame["type"] != "record":
                continue
            assert frame["requestId"][1:] == frame["id"][1:], "each frame says which chat"
            chunk = frame.get("chunk") or {}
            said[frame["id"]] = said.get(frame["id"], "") + chunk.get("delta", "")
            ended += (frame.get("control") or {}).get("kind") == "turn-complete"
        assert said == {f"c{number}": f"You said: one of {number}" for number in range(3)}
