"""Both logs as records, and clear words where the client asks for what is not served."""

from __future__ import annotations

import pytest

from tests.flask.gateway_app import SECRET
from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker, say
from tests.flask.sessions.test_realtime import BASE, append, message, start


def test_the_inbox_is_read_by_servers_alone(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    start(gateway)
    with gateway.http(SECRET) as http:
        append(http, message("one", metadata={"a": 1}))
        append(http, {"kind": "stop"})
        append(http, {"kind": "message", "payload": {"trigger": "action", "action": {"type": "undo"}}})
        records = http.get(f"{BASE}/in/records").json()["records"]
        later = http.get(f"{BASE}/in/records", params={"afterEventId": "0"}).json()["records"]
        assert http.get(f"{BASE}/in/records", params={"afterEventId": "x"}).status_code == 400
    assert [each["seqNum"] for each in records] == [0, 1, 2]
    assert later == records[1:]
    assert records[0]["data"] == {**message("one", metadata={"a": 1})}
    assert records[1]["data"] == {"kind": "stop"}
    assert records[2]["data"]["payload"] == {"chatId": "c1", "trigger": "action", "action": {"type": "undo"}}
    with gateway.http(gateway.token("read:sessions:c1", "write:sessions:c1")) as http:
        assert http.get(f"{BASE}/in/records").status_code == 403


def test_a_server_writes_beside_an_answer_once(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    start(gateway)
    chunk = {"type": "data-note", "data": {"n": 1}}
    with gateway.http(SECRET) as http:
        assert http.post(f"{BASE}/out/append", json={"data": chunk}).status_code == 409
        append(http, message("hi"))
        turn = worker.claim()
        for _ in range(2):
            sent = http.post(f"{BASE}/out/append", json={"data": chunk}, headers={"X-Part-Id": "p"})
            assert sent.json() == {"ok": True}
        assert http.post(f"{BASE}/out/append", json={"data": {"type": "text-delta"}}).status_code == 400
        stored = turn.commit(*say("ok"))
        told = [each["data"] for each in http.get(f"{BASE}/out/records").json()["records"]]
    assert told.count(chunk) == 1
    assert all(part["type"] != "data-note" for part in stored["parts"])
    with gateway.http(gateway.token("write:sessions:c1")) as http:
        assert http.post(f"{BASE}/out/append", json={"data": chunk}).status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/out"), ("PUT", "/in"), ("PUT", "/channels/side/out")],
)
def test_what_is_not_served_is_said_without_asking_for_another_try(
    gateway: GatewayProcess, worker: ScriptedWorker, method: str, path: str
) -> None:
    start(gateway)
    with gateway.http(SECRET) as http:
        refused = http.request(method, f"{BASE}{path}")
    assert refused.status_code == 422
    assert "data" in refused.json()["error"] or "append" in refused.json()["error"]


def test_runs_go_on_by_themselves(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    session_id = start(gateway)
    with gateway.http(SECRET) as http:
        told = http.post("/api/v1/sessions/c1/end-and-continue", json={"callingRunId": "run_1", "reason": "upgrade"})
    assert told.json() == {"runId": session_id.replace("session_", "run_"), "swapped": False}


def test_a_head_start_that_nobody_made_is_not_taken_over(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    start(gateway)
    with gateway.http(SECRET) as http:
        refused = append(http, {"kind": "handover", "partialAssistantMessage": [], "isFinal": False})
        assert (refused.status_code, "head start" in refused.json()["error"]) == (409, True)
        assert append(http, {"kind": "handover-skip"}).json() == {"ok": True}
