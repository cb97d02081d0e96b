"""The same message once more: sent again by a client, or wanted again by its user; and a resume at an odd moment."""

from __future__ import annotations

from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker, echo
from tests.flask.talk import body, chunks_of, socket, text_of
from tests.flask.test_realtime import START, message


def test_an_edit_back_to_an_earlier_wording_is_answered_anew(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    with gateway.http(gateway.token()) as http:
        http.post("/api/chat", json=body("c1", "one"))
        for number, text in enumerate(("two", "three", "two", "three", "two")):
            chunks = chunks_of(http.post("/api/chat", json=body("c1", text, messageId="u1")))
            assert text_of(chunks) == f"You said: {text}", number
        messages = http.get("/api/v1/sessions/c1/history").json()["messages"]
    assert messages[0]["parts"][0]["text"] == "two"


def test_an_edit_that_arrives_twice_is_answered_once(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    with gateway.http(gateway.token()) as http:
        http.post("/api/chat", json=body("c1", "one"))
        edited = body("c1", "two", messageId="u1")
        first, second = (chunks_of(http.post("/api/chat", json=edited)) for _ in range(2))
        assert text_of(first) == text_of(second)
        assert http.get("/api/v1/sessions/c1").json()["turn"] <= 2
        http.post("/api/chat", json=body("c1", "more", "u2"))
        http.post("/api/chat", json=edited)
        messages = http.get("/api/v1/sessions/c1/history").json()["messages"]
    assert len(messages) == 4, "a late copy changes nothing"


def test_a_run_that_is_made_ready_is_no_answer_to_resume(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    preload = {**START, "triggerConfig": {"basePayload": {"trigger": "preload"}}}
    with gateway.http(gateway.token()) as http, socket(gateway) as ws:
        http.post("/api/v1/sessions", json=preload)
        assert http.get("/api/chat/c1/stream").status_code == 204
        ws.resume("r", "c1")
        assert ws.get()["type"] == "no-active"
        worker.claim()
        assert http.get("/api/chat/c1/stream").status_code == 204
        http.post("/realtime/v1/sessions/c1/in/append", json=message("hi"))
        ws.resume("r2", "c1")
        assert ws.get() == {"type": "start", "requestId": "r2"}
