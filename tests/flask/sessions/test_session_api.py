"""Sessions over HTTP, as the published client calls them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.flask.gateway_app import SECRET
from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker, Turn, echo, say
from tests.flask.talk import body, chunks_of, until, user

START: dict[str, Any] = {
    "type": "chat.agent",
    "externalId": "c1",
    "taskIdentifier": "echo",
    "triggerConfig": {"basePayload": {"trigger": "preload", "chatId": "c1", "metadata": {"plan": "pro"}}},
    "tags": ["chat:c1"],
}


def test_a_session_is_made_once(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    with gateway.http(SECRET) as http:
        made, found = http.post("/api/v1/sessions", json=START), http.post("/api/v1/sessions", json=START)
    assert (made.status_code, found.status_code) == (201, 200)
    session = made.json()
    assert session["id"].startswith("session_")
    assert (session["externalId"], session["taskIdentifier"], session["type"]) == ("c1", "echo", "chat.agent")
    assert session["tags"] == ["chat:c1"]
    assert session["metadata"] == {"plan": "pro"}
    assert session["triggerConfig"] == START["triggerConfig"]
    assert session["createdAt"].endswith("Z")
    assert session["isCached"] is False
    assert found.json()["isCached"] is True
    assert found.json()["id"] == session["id"]
    for name in ("currentRunId", "closedAt", "closedReason", "expiresAt"):
        assert session[name] is None
    # One preload, whose run takes the first message.
    assert worker.next_task(timeout_s=5) == session["id"]
    assert worker.next_task(timeout_s=0.05) is None


def test_its_token_is_for_that_chat_alone(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    with gateway.http(SECRET) as http:
        token = http.post("/api/v1/sessions", json=START).json()["publicAccessToken"]
        http.post("/api/v1/sessions", json={**START, "externalId": "c2"})
    worker.serve(echo)
    with gateway.http(token) as http:
        chunks_of(http.post("/api/chat", json=body("c1", "hi")))
        assert http.get("/api/v1/sessions/c1").status_code == 200
        assert http.get("/api/v1/sessions/c2").status_code == 403
        assert http.post("/api/chat", json=body("c2", "hi")).status_code == 403
        assert http.post("/api/chat", json=body("c3", "hi")).status_code == 404
        assert http.get("/api/v1/sessions").status_code == 403


def test_a_message_in_the_request_starts_the_first_turn(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    payload = {"trigger": "submit-message", "message": user("hello"), "metadata": {"plan": "pro"}}
    with gateway.http(SECRET) as http:
        http.post("/api/v1/sessions", json={**START, "triggerConfig": {"basePayload": payload}})
        until(lambda: http.get("/api/v1/sessions/c1").json()["turn"] == 1, "the turn")
        messages = http.get("/api/v1/sessions/c1/history").json()["messages"]
    assert [message["id"] for message in messages] == ["u1", "answer-0"]


def test_a_session_needs_no_chat_id(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    with gateway.http(SECRET) as http:
        session = http.post("/api/v1/sessions", json={"taskIdentifier": "echo"}).json()
        assert session["externalId"] == session["id"]
        assert http.get(f"/api/v1/sessions/{session['id']}").status_code == 200
        token = session["publicAccessToken"]
    worker.serve(echo)
    with gateway.http(token) as http:
        chunks_of(http.post("/api/chat", json=body(session["id"], "hi")))


def test_a_user_lists_their_own_chats_and_a_server_all(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    for name in ("ann", "bob"):
        with gateway.http(None, **{"X-Test-User": name}) as http:
            for at in range(3):
                chunks_of(http.post("/api/chat", json=body(f"{name}-{at}", "hi")))
    with gateway.http(None, **{"X-Test-User": "ann"}) as http:
        mine = [session["externalId"] for session in http.get("/api/v1/sessions").json()["data"]]
        assert http.get("/api/v1/sessions/bob-0").status_code == 403
    with gateway.http(SECRET) as http:
        every = http.get("/api/v1/sessions").json()["data"]
    assert mine == ["ann-2", "ann-1", "ann-0"]
    assert len(every) == 6


def test_a_list_comes_in_pages(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    with gateway.http(SECRET) as http:
        for at in range(7):
            http.post("/api/v1/sessions", json={**START, "externalId": f"c{at}"})
        seen: list[str] = []
        query = "limit=3"
        for _ in range(3):
            page = http.get(f"/api/v1/sessions?{query}").json()
            seen += [session["externalId"] for session in page["data"]]
            query = f"page[size]=3&page[after]={page['pagination'].get('next')}"
        assert "next" not in page["pagination"]
    assert seen == [f"c{at}" for at in reversed(range(7))]


def test_a_history_shows_what_is_on_its_way_and_where_to_go_on(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    with gateway.http(SECRET) as http:
        payload = {"message": user("one")}
        http.post("/api/v1/sessions", json={**START, "triggerConfig": {"basePayload": payload}})
        turn = worker.claim()
        turn.append(*say("x")[:3])
        running = http.get("/api/v1/sessions/c1/history").json()
        turn.commit(*say("x")[3:])
        idle = http.get("/api/v1/sessions/c1/history").json()
    assert (running["status"], idle["status"]) == ("running", "idle")
    assert [message["id"] for message in running["messages"]] == ["u1"]
    assert [message["id"] for message in idle["messages"]] == ["u1", "m1"]
    assert (running["in_seq"], running["out_cursor"]) == (0, -1)
    assert idle["out_cursor"] > 0


def test_a_long_history_is_read_in_pages_backwards(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    with gateway.http(SECRET) as http:
        for at in range(3):
            http.post("/api/chat", json=body("c1", f"m{at}", f"u{at}"))
        whole = http.get("/api/v1/sessions/c1/history").json()["messages"]
        pages: list[Any] = []
        before: str | None = None
        for _ in range(3):
            query = {"limit": "2"} if before is None else {"limit": "2", "before": before}
            answer = http.get("/api/v1/sessions/c1/history", params=query).json()
            pages = [*answer["messages"], *pages]
            before = answer["before"]
        assert pages == whole
        assert [message["id"] for message in whole[::2]] == ["u0", "u1", "u2"]
        assert before is None
        for wrong in ({"before": "nobody"}, {"limit": "many"}, {"limit": "0"}):
            assert http.get("/api/v1/sessions/c1/history", params=wrong).status_code == 400


def test_a_history_comes_in_the_words_of_who_reads(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    def answer(turn: Turn) -> None:
        call = {"toolCallId": "call1", "toolName": "pay", "input": {}}
        steered = {"type": "steering-message", "id": "u2", "parts": []}
        asked = {"type": "tool-approval-request", "toolCallId": "call1", "approvalId": "a1"}
        turn.commit({"type": "start", "messageId": "a1"}, {"type": "tool-input-available", **call}, asked, steered)

    worker.serve(answer)
    with gateway.http(gateway.token()) as http:
        chunks_of(http.post("/api/chat", json=body("c1", "hi")))
        told = {}
        for generation in ("", "5", "6", "7"):
            query = {"ai": generation} if generation else {}
            messages = http.get("/api/v1/sessions/c1/history", params=query).json()["messages"]
            assert messages[0] == user("hi")
            told[generation] = [part.get("state", part["type"]) for part in messages[1]["parts"]]
        refused = http.get("/api/v1/sessions/c1/history", params={"ai": "4"})
    injected = "data-pending-message-injected"
    assert told == {
        "": ["approval-requested", "steering-message"],
        "5": ["input-available", "data-tool-approval-request", injected],
        "6": ["approval-requested", injected],
        "7": ["approval-requested", "steering-message"],
    }
    assert (refused.status_code, refused.json()["field"]) == (400, "ai")


def test_servers_get_tokens_with_the_scopes_they_ask_for(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    with gateway.http(SECRET) as http:
        http.post("/api/v1/sessions", json=START)
        both = http.post("/api/v1/sessions/c1/tokens")
        reader = http.post("/api/v1/sessions/c1/tokens", json={"scopes": ["read"], "ttl": 60}).json()["token"]
    assert both.status_code == 201
    assert gateway.tokens.read(both.json()["token"]).scopes == {"read:sessions:c1", "write:sessions:c1"}
    with gateway.http(reader) as http:
        assert http.get("/api/v1/sessions/c1/history").status_code == 200
        assert http.post("/api/chat", json=body("c1", "hi")).status_code == 403
        assert http.post("/api/v1/sessions/c1/tokens").status_code == 403
    with gateway.http(both.json()["token"]) as http:
        assert http.post("/api/v1/sessions/c1/tokens").status_code == 403


def test_a_closed_chat_stays_closed(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    with gateway.http(SECRET) as http:
        http.post("/api/v1/sessions", json=START)
        first = http.post("/api/v1/sessions/c1/close", json={"reason": "done"})
        again = http.post("/api/v1/sessions/c1/close", json={"reason": "other"})
        refused = http.post("/api/chat", json=body("c1", "hi"))
        reopened = http.post("/api/v1/sessions", json=START)
    with gateway.http(gateway.token("write:sessions:c1")) as http:
        by_its_page = http.post("/api/v1/sessions", json=START)
    assert first.json()["closedReason"] == again.json()["closedReason"] == "done"
    assert first.json()["closedAt"] is not None
    for response in (refused, reopened, by_its_page):
        assert response.status_code == 409
        assert response.headers["x-should-retry"] == "false"
        assert response.json()["code"] == "session_closed"
        assert response.json()["closedReason"] == "done"


@pytest.mark.parametrize(
    ("scopes", "user_id", "status"),
    [
        (["write:tasks:echo"], None, 201),
        (["write:tasks"], "ann", 201),
        (["write:all"], None, 201),
        (["write:sessions"], None, 201),
        (["write:sessions"], "ann", 201),
        (["write:tasks:other"], None, 403),
        (["write:sessions:c1"], None, 403),
        (["read:all"], None, 403),
    ],
)
def test_starting_a_chat_takes_the_scope_of_its_agent(
    gateway: GatewayProcess, worker: ScriptedWorker, scopes: list[str], user_id: str | None, status: int
) -> None:
    with gateway.http(gateway.token(*scopes, user=user_id)) as http:
        assert http.post("/api/v1/sessions", json=START).status_code == status
    assert bool(worker.client.exists(worker.keys.ext("c1"))) == (status == 201)


def test_a_chat_that_has_begun_is_not_preloaded(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    with gateway.http(SECRET) as http:
        http.post("/api/v1/sessions", json={**START, "triggerConfig": {"basePayload": {}}})
        message = {"id": "u1", "role": "user", "parts": [{"type": "text", "text": "hi"}]}
        record = {"kind": "message", "payload": {"message": message}}
        http.post("/realtime/v1/sessions/c1/in/append", json=record)
        worker.claim().commit(*say("ok"))
        found = http.post("/api/v1/sessions", json=START).json()
    assert found["triggerConfig"] == START["triggerConfig"]
    assert worker.next_task(timeout_s=0.05) is None


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"metadata": {"long": "x" * 33_000}}, 413),
        ({"tags": [str(number) for number in range(11)]}, 400),
        ({"tags": ["x" * 129]}, 400),
        ({"externalId": "x" * 257}, 400),
        ({"taskIdentifier": "x" * 129}, 400),
        ({"type": "x" * 65}, 400),
        ({"externalId": "session_mine"}, 400),
    ],
)
def test_a_start_over_a_limit_is_refused(
    gateway: GatewayProcess, worker: ScriptedWorker, change: dict[str, object], status: int
) -> None:
    with gateway.http(SECRET) as http:
        assert http.post("/api/v1/sessions", json={**START, **change}).status_code == status
        assert http.get("/api/v1/sessions").json()["data"] == []
