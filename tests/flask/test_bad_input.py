"""Bad input: a clear error each, no stack trace, nothing written."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from tests.flask.conftest import NewGateway
from tests.flask.gateway_app import SECRET
from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker
from tests.flask.talk import body, socket, user

START = {"taskIdentifier": "echo", "externalId": "fresh"}
CHAT, SESSIONS = "/api/chat", "/api/v1/sessions"


@pytest.fixture(autouse=True)
def chats(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    """An open chat and a closed one."""
    with gateway.http(SECRET) as http:
        for chat_id in ("open", "closed"):
            http.post(SESSIONS, json={**START, "externalId": chat_id})
        http.post(f"{SESSIONS}/closed/close")


def written(worker: ScriptedWorker) -> str:
    """A digest of everything in Redis, sweeper hints aside: they are dropped when they point nowhere."""
    parts = []
    for key in sorted(worker.client.scan_iter()):
        if key == worker.keys.queued.encode():
            continue
        parts.append(key + (worker.client.dump(key) or b""))
    return hashlib.sha256(b"".join(parts)).hexdigest()


def message(**changed: Any) -> dict[str, Any]:
    """A request whose message differs from a good one."""
    return {"id": "open", "messages": [{**user("hi"), **changed}]}


CASES: dict[str, tuple[str, str, Any, int, str]] = {
    "body is no JSON": ("POST", CHAT, b"{", 400, "bad_request"),
    "body is no object": ("POST", CHAT, b"[]", 400, "bad_request"),
    "body is empty": ("POST", CHAT, b"", 400, "bad_request"),
    "body is not UTF-8": ("POST", CHAT, b'{"id":"\xff"}', 400, "bad_request"),
    "NaN": ("POST", CHAT, b'{"id":"open","message":{"role":"user","parts":[],"x":NaN}}', 400, "bad_request"),
    "deeply nested": ("POST", CHAT, b'{"id":' + b"[" * 5000 + b"]" * 5000 + b"}", 400, "bad_request"),
    "too large": ("POST", CHAT, b'{"id":"' + b"x" * 8_400_000 + b'"}', 413, "too_large"),
    "no chat id": ("POST", CHAT, {"messages": [user("hi")]}, 400, "bad_request"),
    "chat id is a number": ("POST", CHAT, {"id": 7, "messages": [user("hi")]}, 400, "bad_request"),
    "chat id is too long": ("POST", CHAT, {"id": "x" * 257, "messages": [user("hi")]}, 400, "bad_request"),
    "chat id has a newline": ("POST", CHAT, {"id": "a\nb", "messages": [user("hi")]}, 400, "bad_request"),
    "chat id looks like ours": ("POST", CHAT, body("session_made_up", "hi"), 400, "bad_request"),
    "no messages": ("POST", CHAT, {"id": "open"}, 400, "bad_request"),
    "messages are empty": ("POST", CHAT, {"id": "open", "messages": []}, 400, "bad_request"),
    "messages are no list": ("POST", CHAT, {"id": "open", "messages": {}}, 400, "bad_request"),
    "message is a string": ("POST", CHAT, {"id": "open", "message": "hi"}, 400, "bad_request"),
    "message of the system": ("POST", CHAT, message(role="system"), 400, "bad_request"),
    "message without a role": ("POST", CHAT, message(role=None), 400, "bad_request"),
    "message id is a number": ("POST", CHAT, message(id=5), 400, "bad_request"),
    "parts are missing": ("POST", CHAT, message(parts=None), 400, "bad_request"),
    "part is a string": ("POST", CHAT, message(parts=["hi"]), 400, "bad_request"),
    "part without a type": ("POST", CHAT, message(parts=[{"text": "hi"}]), 400, "bad_request"),
    "text is a number": ("POST", CHAT, message(parts=[{"type": "text", "text": 5}]), 400, "bad_request"),
    "too many parts": ("POST", CHAT, message(parts=[{"type": "x"}] * 1001), 400, "bad_request"),
    "unknown trigger": ("POST", CHAT, {**body("open", "hi"), "trigger": "shout"}, 400, "bad_request"),
    "messageId is a number": ("POST", CHAT, {**body("open", "hi"), "messageId": 5}, 400, "bad_request"),
    "unknown agent": ("POST", CHAT, {**body("fresh", "hi"), "agent": "nobody"}, 404, "not_found"),
    "agent is a number": ("POST", CHAT, {**body("fresh", "hi"), "agent": 5}, 400, "bad_request"),
    "no agent of two": ("POST", CHAT, {"id": "fresh", "messages": [user("hi")]}, 404, "not_found"),
    "unknown dialect": ("POST", f"{CHAT}?ai=4", body("open", "hi"), 400, "bad_request"),
    "closed chat": ("POST", CHAT, body("closed", "hi"), 409, "session_closed"),
    "stop of an unknown chat": ("POST", f"{CHAT}/unknown/stop", b"", 404, "not_found"),
    "unknown session": ("GET", f"{SESSIONS}/unknown", b"", 404, "not_found"),
    "history of an unknown chat": ("GET", f"{SESSIONS}/unknown/history", b"", 404, "not_found"),
    "close of an unknown chat": ("POST", f"{SESSIONS}/unknown/close", b"", 404, "not_found"),
    "token for an unknown chat": ("POST", f"{SESSIONS}/unknown/tokens", b"", 404, "not_found"),
    "token for ever": ("POST", f"{SESSIONS}/open/tokens", {"ttl": 10**12}, 400, "bad_request"),
    "token for no time": ("POST", f"{SESSIONS}/open/tokens", {"ttl": 0}, 400, "bad_request"),
    "token without scopes": ("POST", f"{SESSIONS}/open/tokens", {"scopes": []}, 400, "bad_request"),
    "reason is a number": ("POST", f"{SESSIONS}/open/close", {"reason": 5}, 400, "bad_request"),
    "session without an agent": ("POST", SESSIONS, {"externalId": "fresh"}, 400, "bad_request"),
    "session of an unknown agent": ("POST", SESSIONS, {**START, "taskIdentifier": "nobody"}, 404, "not_found"),
    "session id looks like ours": ("POST", SESSIONS, {**START, "externalId": "session_x"}, 400, "bad_request"),
    "session with a bad tag": ("POST", SESSIONS, {**START, "tags": [5]}, 400, "bad_request"),
    "session with many tags": ("POST", SESSIONS, {**START, "tags": ["t"] * 11}, 400, "bad_request"),
    "session with a bad payload": (
        "POST",
        SESSIONS,
        {**START, "triggerConfig": {"basePayload": []}},
        400,
        "bad_request",
    ),
    "session with a bad message": (
        "POST",
        SESSIONS,
        {**START, "triggerConfig": {"basePayload": {"message": "hi"}}},
        400,
        "bad_request",
    ),
    "limit is a word": ("GET", f"{SESSIONS}?limit=many", b"", 400, "bad_request"),
    "limit is too large": ("GET", f"{SESSIONS}?limit=1000", b"", 400, "bad_request"),
    "cursor is a word": ("GET", f"{SESSIONS}?cursor=x", b"", 400, "bad_request"),
    "wrong method": ("DELETE", f"{SESSIONS}/open", b"", 405, "method_not_allowed"),
    "no such page": ("GET", "/api/nothing", b"", 404, "not_found"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_request_is_refused_and_writes_nothing(
    gateway: GatewayProcess, worker: ScriptedWorker, case: str
) -> None:
    method, path, sent, status, code = CASES[case]
    before = written(worker)
    with gateway.http(SECRET) as http:
        content = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
        response = http.request(method, path, content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == status, response.text
    if status != 405:
        answer = response.json()
        assert answer["code"] == code
        assert isinstance(answer["error"], str)
        assert answer["error"]
        assert "Traceback" not in response.text
    assert written(worker) == before


ROUTES = [
    ("POST", CHAT),
    ("GET", f"{CHAT}/open/stream"),
    ("POST", f"{CHAT}/open/stop"),
    ("POST", SESSIONS),
    ("GET", SESSIONS),
    ("GET", f"{SESSIONS}/open"),
    ("GET", f"{SESSIONS}/open/history"),
    ("POST", f"{SESSIONS}/open/tokens"),
    ("POST", f"{SESSIONS}/open/close"),
    ("GET", "/api/agents"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("token", ["none", "garbled", "expired", "of another server", "unsigned", "foreign"])
def test_every_call_is_checked(
    gateway: GatewayProcess, worker: ScriptedWorker, method: str, path: str, token: str
) -> None:
    shown = {
        "none": None,
        "garbled": "eyJhbGciOiJIUzI1NiJ9.nonsense.x",
        "expired": gateway.token(ttl_s=-60),
        "of another server": type(gateway.tokens)("x" * 40).mint({"admin"}, ttl_s=60),
        "unsigned": "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzY29wZXMiOlsiYWRtaW4iXSwiZXhwIjo0MTAyNDQ0ODAwfQ.",
        "foreign": gateway.token("read:sessions:elsewhere", "write:sessions:elsewhere"),
    }[token]
    before = written(worker)
    sent = body("open", "hi") if path == CHAT else START
    with gateway.http(shown) as http:
        response = http.request(method, path, json=sent)
    if token == "foreign" and path == "/api/agents":
        assert response.status_code == 200
        return
    expected = 401 if token != "foreign" else 403
    assert response.status_code == expected, response.text
    assert set(response.json()) == {"error", "code"}
    if expected == 401:
        assert response.headers["WWW-Authenticate"] == "Bearer"
    assert written(worker) == before


def test_who_may_start_a_chat_but_not_write_it_starts_none_by_a_message(
    gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    before = written(worker)
    with gateway.http(gateway.token("write:tasks:echo", user="ann")) as http:
        response = http.post(CHAT, json=body("fresh", "hi"))
    assert (response.status_code, response.json()["code"]) == (403, "forbidden")
    assert written(worker) == before


def test_a_foreign_token_is_refused_on_a_socket(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    before = written(worker)
    with socket(gateway, token=gateway.token("write:sessions:elsewhere", "read:sessions:elsewhere")) as ws:
        ws.send("r1", "open", "hi")
        assert ws.get()["code"] == "forbidden"
        ws.resume("r2", "open")
        assert ws.get()["code"] == "forbidden"
        ws.put("watch", requestId="r3", id="open")
        assert ws.get()["code"] == "forbidden"
        ws.put("stop", requestId="r4", id="open")
        assert ws.get()["code"] == "forbidden"
        ws.send("r5", "fresh", "hi")
        assert ws.get()["code"] == "not_found"
    assert written(worker) == before


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"messages": []}, "bad_request"),
        ({"messages": [user("hi") | {"role": "system"}]}, "bad_request"),
        ({"trigger": "shout"}, "bad_request"),
        ({"id": "fresh", "body": {"agent": "nobody"}}, "not_found"),
        ({"id": "closed"}, "session_closed"),
        ({"window": 0}, "bad_request"),
    ],
)
def test_a_bad_send_on_a_socket_ends_that_request_alone(
    gateway: GatewayProcess, worker: ScriptedWorker, fields: dict[str, Any], code: str
) -> None:
    before = written(worker)
    with socket(gateway) as ws:
        frame = {"id": "open", "trigger": "submit-message", "messages": [user("hi")], "headers": {}, "body": {}}
        ws.put("send", requestId="r1", **{**frame, **fields})
        error = ws.get()
        ws.put("ping", requestId="p")
        assert ws.get()["type"] == "pong"
    assert (error["type"], error["requestId"], error["code"]) == ("error", "r1", code)
    assert isinstance(error["errorText"], str)
    assert written(worker) == before


def test_before_any_worker_came_there_is_a_try_again(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.client.delete(worker.keys.agents)
    with gateway.http(SECRET) as http:
        response = http.post(CHAT, json=body("fresh", "hi"))
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) >= 1


def test_a_full_chat_says_try_again(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    with gateway.http(SECRET) as http, socket(gateway) as ws:
        session_id = http.get(f"{SESSIONS}/open").json()["id"]
        worker.client.hset(worker.keys.session(session_id), "in_seq", 5000)
        assert http.post(CHAT, json=body("open", "hi")).status_code == 503
        ws.send("r1", "open", "hi")
        assert ws.get()["code"] == "unavailable"


def test_a_page_of_another_origin_may_not_post(gateway_with: NewGateway) -> None:
    gateway = gateway_with(allowed_origins=["https://app.example"])
    with gateway.http(SECRET) as http:
        refused = http.post(f"{CHAT}/open/stop", headers={"Origin": "https://evil.example"})
        asked = http.options(CHAT, headers={"Origin": "https://app.example", "Access-Control-Request-Method": "POST"})
        allowed = http.get(SESSIONS, headers={"Origin": "https://app.example"})
    assert refused.status_code == 403
    assert "Access-Control-Allow-Origin" not in refused.headers
    assert asked.status_code == 204
    assert asked.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://app.example"
