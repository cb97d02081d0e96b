"""Names in paths that hold a slash."""

from __future__ import annotations

from tests.flask.gateway_app import SECRET
from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker
from tests.flask.talk import user

_SESSIONS = "/api/v1/sessions"


def test_a_waiting_message_whose_id_has_a_slash_can_be_taken_out(
    gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    message = {"kind": "message", "payload": {"message": user("hi", "a/b")}}
    with gateway.http(SECRET) as http:
        http.post(_SESSIONS, json={"taskIdentifier": "echo", "externalId": "slash"})
        http.post("/realtime/v1/sessions/slash/in/append", json=message)
        taken = http.delete("/api/chat/slash/queue/a%2Fb")
    assert taken.status_code == 200, taken.text
    assert taken.json()["message"]["id"] == "a/b"
