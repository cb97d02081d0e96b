from __future__ import annotations

import json
from websockets.sync.client import connect

from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker, echo


def user(text: str, message_id: str = "u1"):
    return {"id": message_id, "role": "user", "parts": [{"type": "text", "text": text}]}


def test_sse(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    with gateway.http(gateway.token()) as http:
        r = http.post(
            "/api/chat", json={"id": "c1", "agent": "echo", "messages": [user("hi there")], "trigger": "submit-message"}
        )
        print(r.status_code, r.headers, r.text)
        assert r.status_code == 200
        r = http.get("/api/v1/sessions/c1/history")
        print(r.json())
        r = http.get("/healthz")
        print(r.status_code, r.text)


def test_ws(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    with connect(gateway.ws_url + "?token=" + gateway.token()) as ws:
        ws.send(
            json.dumps(
                {
                    "type": "send",
                    "requestId": "r1",
                    "id": "c1",
                    "trigger": "submit-message",
                    "headers": {},
                    "body": {"agent": "echo"},
                    "messages": [user("hi there")],
                }
            )
        )
        while True:
            f = json.loads(ws.recv(timeout=5))
            print(f)
            if f["type"] in ("end", "error"):
                break
    print(gateway.log())
