"""The same message once more: sent again by a client, or wanted again by its user; and a resume at an odd moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker, Turn, echo, say
from tests.flask.sessions.test_realtime import START, message
from tests.flask.talk import body, chunks_of, socket, text_of, until, user


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


def again(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """What a page posts when its user wants another answer."""
    return {"id": "c1", "trigger": "regenerate-message", "messages": [*messages], "agent": "echo", **fields}


@pytest.mark.parametrize("form", ["messages", "message"])
def test_trying_again_sends_the_message_that_never_came(
    gateway: GatewayProcess, worker: ScriptedWorker, form: str
) -> None:
    worker.serve(echo)
    with gateway.http(gateway.token()) as http:
        for number, text in enumerate(("one", "two")):
            # Given a page whose message met a gateway that was away
            lost = user(text, f"u{number}")
            request = again(lost) if form == "messages" else {**again(), "message": lost}
            # When its user tries again, and then wants another answer
            for said in (text, ""):
                assert text_of(chunks_of(http.post("/api/chat", json=request))) == f"You said: {said}"
        messages = http.get("/api/v1/sessions/c1/history").json()["messages"]
    # Then the message is there once, with an answer
    assert [each["id"] for each in messages if each["role"] == "user"] == ["u0", "u1"]
    assert len(messages) == 4


def test_an_answer_that_is_wanted_twice_at_once_is_written_once(
    gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    with gateway.http(gateway.token()) as http, ThreadPoolExecutor(4) as pool:
        # Given a chat with an answer
        sent = pool.submit(http.post, "/api/chat", json=body("c1", "hi"))
        echo(worker.claim())
        sent.result(10)
        # When another one is asked for by two copies of a request
        first, second = (pool.submit(http.post, "/api/chat", json=again(user("hi"))) for _ in range(2))
        turn = worker.claim()
        turn.append(*say("half", message_id="a2")[:-1])
        # And after a stop once more
        assert http.post("/api/chat/c1/stop").json() == {"stopped": True}
        third = pool.submit(http.post, "/api/chat", json=again(user("hi")))
        until(lambda: http.get("/api/chat/c1/queue").json()["queue"], "the third request")
        turn.commit({"type": "abort"}, outcome="stopped")
        echo(worker.claim())
        # Then the copies got the same answer, and the one after the stop its own
        told = [chunks_of(each.result(10)) for each in (first, second, third)]
    assert [text_of(each) for each in told] == ["half", "half", "You said: "]
    assert worker.next_task(timeout_s=0.1) is None


def test_a_message_that_went_into_an_answer_is_not_sent_by_asking_again(
    gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    def answer(turn: Turn) -> None:
        steered = {"type": "steering-message", "id": "u2", "parts": []}
        turn.commit(*say("so", message_id=f"a{turn.record.seq}")[:-1], steered, {"type": "finish"})

    worker.serve(answer)
    with gateway.http(gateway.token()) as http:
        http.post("/api/chat", json=body("c1", "hi"))
        http.post("/api/chat", json=again(user("hi"), user("wait", "u2")))
        messages = http.get("/api/v1/sessions/c1/history").json()["messages"]
    assert [each["id"] for each in messages] == ["u1", "a1"]


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
