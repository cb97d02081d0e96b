"""A stop is for one answer: late, repeated, or for a message that still waits, it never ends another."""

from __future__ import annotations

from typing import Any

import pytest

from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker, Turn, say
from tests.flask.talk import Socket, body, socket, until, user

STOP = "/api/chat/c1/stop"


def begin(worker: ScriptedWorker, number: int) -> Turn:
    """Take the next turn and say its first words, as message `a<number>`."""
    turn = worker.claim()
    turn.append(*say("x", message_id=f"a{number}")[:4])
    return turn


def stopped(turn: Turn) -> bool:
    return turn.append({"type": "text-delta", "id": "t1", "delta": "."})


def finish(turn: Turn) -> None:
    turn.commit({"type": "abort"}, outcome="stopped")


def settled(ws: Socket) -> None:
    """Return once the gateway has dealt with every frame so far."""
    ws.put("ping", requestId="ping")
    ws.until("pong")


def queue(gateway: GatewayProcess) -> list[str]:
    """The ids of the messages that wait."""
    with gateway.http(gateway.token()) as http:
        return [each["message"]["id"] for each in http.get("/api/chat/c1/queue").json()["queue"]]


def test_an_abort_of_a_message_that_waits_takes_it_out_and_stops_nothing(
    gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    with socket(gateway) as ws:
        ws.send("r1", "c1", "one", "u1")
        turn = begin(worker, 1)
        ws.send("r2", "c1", "two", "u2")
        until(lambda: queue(gateway) == ["u2"], "the second message waits")
        ws.put("abort", requestId="r2")
        settled(ws)
        assert queue(gateway) == []
        assert not stopped(turn)
        turn.commit(*say("x", message_id="a1")[4:])
    with gateway.http(gateway.token()) as http:
        told = http.get("/api/v1/sessions/c1/history").json()
    assert [each["id"] for each in told["messages"]] == ["u1", "a1"]
    assert told["status"] == "idle"


def test_an_abort_before_the_turn_begins_stops_it(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    with socket(gateway) as ws:
        ws.send("r1", "c1", "one", "u1")
        ws.until("start")
        ws.put("abort", requestId="r1")
        settled(ws)
        assert worker.claim().stopped


def test_an_abort_behind_a_run_that_is_made_ready_stops_its_own_turn(
    gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    preload = {"type": "chat.agent", "externalId": "c1", "taskIdentifier": "echo"}
    with gateway.http(gateway.token()) as http, socket(gateway) as ws:
        http.post("/api/v1/sessions", json={**preload, "triggerConfig": {"basePayload": {"trigger": "preload"}}})
        made = worker.claim()
        ws.send("r1", "c1", "one", "u1")
        ws.until("start")
        ws.put("abort", requestId="r1")
        settled(ws)
        assert not made.append({"type": "data-x", "data": 1})
        made.end()
        assert worker.claim().stopped


@pytest.mark.parametrize("name", [{"messageId": "u1"}, {"messageId": "a1"}, {"seq": 0}], ids=str)
def test_a_stop_that_names_its_message_does_nothing_to_the_next_turn(
    gateway: GatewayProcess, worker: ScriptedWorker, name: dict[str, Any]
) -> None:
    with gateway.http(gateway.token()) as http, socket(gateway) as ws:
        ws.send("r1", "c1", "one", "u1")
        turn = begin(worker, 1)
        ws.send("r2", "c1", "two", "u2")
        until(lambda: queue(gateway) == ["u2"], "the second message waits")
        assert http.post(STOP, json=name).json() == {"stopped": True}
        assert http.post(STOP, json=name).json() == {"stopped": True}, "twice is once"
        assert stopped(turn)
        finish(turn)
        following = begin(worker, 2)
        assert http.post(STOP, json=name).json() == {"stopped": False}
        ws.put("stop", requestId="s", id="c1", **name)
        assert ws.until("ok")[-1]["stopped"] is False
        assert not stopped(following)
        assert http.post(STOP).json() == {"stopped": True}, "without a name it is for whatever runs"
        assert stopped(following)


def test_a_stop_names_an_answer_that_is_asked_for_again(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    again = {"id": "c1", "trigger": "regenerate-message", "messageId": "a1"}
    with gateway.http(gateway.token()) as http:
        assert http.post("/api/chat/c1/stop").status_code == 404
        with http.stream("POST", "/api/chat", json=body("c1", "one")):
            begin(worker, 1).commit()
        assert http.post(STOP, json={"messageId": "u1"}).json() == {"stopped": False}
        with http.stream("POST", "/api/chat", json=again):
            turn = worker.claim()
            assert http.post(STOP, json={"messageId": "u1"}).json() == {"stopped": True}
            assert stopped(turn)


def test_a_stop_of_a_message_that_waits_takes_it_out(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    with gateway.http(gateway.token()) as http, socket(gateway) as ws:
        ws.send("r1", "c1", "one", "u1")
        turn = begin(worker, 1)
        ws.send("r2", "c1", "two", "u2")
        until(lambda: queue(gateway) == ["u2"], "the second message waits")
        assert http.post(STOP, json={"messageId": "u2"}).json() == {"stopped": True}
        assert queue(gateway) == []
        assert http.post(STOP, json={"messageId": "u2"}).json() == {"stopped": False}
        assert not stopped(turn)


@pytest.mark.parametrize("path", [STOP, "/realtime/v1/sessions/c1/in/append"])
def test_the_same_stop_sent_again_counts_once(gateway: GatewayProcess, worker: ScriptedWorker, path: str) -> None:
    with gateway.http(gateway.token()) as http, socket(gateway) as ws:
        ws.send("r1", "c1", "one", "u1")
        turn = begin(worker, 1)
        ws.send("r2", "c1", "two", "u2")
        until(lambda: queue(gateway) == ["u2"], "the second message waits")
        for last in (False, True):
            sent = http.post(path, json={"kind": "stop"}, headers={"X-Part-Id": "p1"})
            assert sent.is_success, sent.text
            if not last:
                assert stopped(turn)
                finish(turn)
                turn = begin(worker, 2)
        assert not stopped(turn)


@pytest.mark.parametrize("wrong", [{"seq": "1"}, {"seq": True}, {"messageId": 1}, []], ids=str)
def test_a_stop_that_makes_no_sense_is_refused(gateway: GatewayProcess, worker: ScriptedWorker, wrong: Any) -> None:
    with gateway.http(gateway.token()) as http, http.stream("POST", "/api/chat", json=body("c1", "one")):
        assert http.post(STOP, json=wrong).status_code == 400
        assert not stopped(begin(worker, 1))


def test_leaving_a_completion_that_ended_does_not_stop_the_next(
    gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    asked = {"model": "echo", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    with gateway.http(gateway.token()) as http:
        with http.stream("POST", "/v1/chat/completions", json=asked) as response:
            name = response.headers["x-chat-id"]
            turn = begin(worker, 1)
            turn.commit()
            http.post("/realtime/v1/sessions/" + name + "/in/append", json=message(user("more", "u2")))
            following = begin(worker, 2)
        assert not stopped(following)


def message(sent: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "message", "payload": {"trigger": "submit-message", "message": sent}}
