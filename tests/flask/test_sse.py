"""The AI SDK's HTTP door: framing, resume, repeated requests, stop."""

from __future__ import annotations

import threading
from typing import Any

import httpx
import orjson
import pytest

from chatagent.ui import fold_message
from tests.flask.conftest import NewGateway
from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker, Turn, echo, say
from tests.flask.talk import body, chunks_of, events, text_of, until, user


def test_a_post_streams_the_answer_in_the_framing_of_the_ai_sdk(
    gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    worker.serve(echo)
    with gateway.http(gateway.token()) as http:
        response = http.post("/api/chat", json=body("c1", "hello there"))
    assert text_of(chunks_of(response)) == "You said: hello there"
    assert response.headers["content-type"] == "text/event-stream"
    assert response.headers["x-vercel-ai-ui-message-stream"] == "v1"
    assert response.headers["x-accel-buffering"] == "no"
    assert "no-cache" in response.headers["cache-control"]


def test_headers_and_chunks_leave_at_once(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    with gateway.http(gateway.token()) as http, http.stream("POST", "/api/chat", json=body("c1", "hi")) as response:
        stream = events(response)
        assert next(stream).startswith(":")  # before any worker has looked at the message
        turn = worker.claim()
        for chunk in say("a b")[:-1]:
            turn.append(chunk)
            assert f'"type":"{chunk["type"]}"' in next(stream)
        turn.commit({"type": "finish"})
        assert [next(stream), next(stream)] == ['{"type":"finish"}', "[DONE]"]


def test_a_quiet_stream_is_kept_alive_with_comments(gateway_with: NewGateway, worker: ScriptedWorker) -> None:
    gateway = gateway_with(keepalive_s=0.1)
    with gateway.http(gateway.token()) as http, http.stream("POST", "/api/chat", json=body("c1", "hi")) as response:
        stream = events(response)
        assert [next(stream) for _ in range(4)] == [": stream-open", *[": keep-alive"] * 3]
        echo(worker.claim())
        assert [event for event in stream if not event.startswith(":")][-1] == "[DONE]"


@pytest.mark.parametrize(
    "form",
    [
        {"id": "c1", "message": user("hi"), "agent": "echo"},
        {"id": "c1", "messages": [user("a lie", "u0"), user("hi")], "agent": "echo"},
        {"id": "c1", "messages": [{"no": "message at all"}, user("hi")], "agent": "echo", "messageId": "u1"},
    ],
)
def test_only_the_last_message_is_read(gateway: GatewayProcess, worker: ScriptedWorker, form: dict[str, Any]) -> None:
    worker.serve(echo)
    with gateway.http(gateway.token()) as http:
        assert text_of(chunks_of(http.post("/api/chat", json=form))) == "You said: hi"
        history = http.get("/api/v1/sessions/c1/history").json()["messages"]
    assert [message["id"] for message in history] == ["u1", "answer-0"]


def test_the_agent_may_be_named_in_the_query(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    with gateway.http(gateway.token()) as http:
        chunks_of(http.post("/api/chat?agent=other", json={"id": "c1", "messages": [user("hi")]}))
        assert http.get("/api/v1/sessions/c1").json()["taskIdentifier"] == "other"


def test_further_fields_reach_the_agent(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    seen: list[Turn] = []

    def answer(turn: Turn) -> None:
        seen.append(turn)
        echo(turn)

    worker.serve(answer)
    with gateway.http(gateway.token()) as http:
        sent = body("c1", "hi", messageId="u1", metadata={"plan": "pro"}, temperature=0.5)
        chunks_of(http.post("/api/chat", json=sent))
    payload = seen[0].record.payload
    assert payload["metadata"] == {"plan": "pro"}
    assert payload["messageId"] == "u1"
    assert payload["body"] == {"temperature": 0.5}


def test_parts_are_kept_as_they_came(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    parts = [
        {"type": "file", "mediaType": "text/plain", "url": "data:text/plain;base64,aGk=", "filename": "a.txt"},
        {"type": "something-new", "with": [1, None, {"x": 2.5}]},
        {"type": "text", "text": "héllo \u2028 \U0001f600"},
    ]
    message = {"id": "u1", "role": "user", "parts": parts, "metadata": {"k": [1]}, "extra": True}
    with gateway.http(gateway.token()) as http:
        chunks_of(http.post("/api/chat", json={"id": "c1", "messages": [message], "agent": "echo"}))
        assert http.get("/api/v1/sessions/c1/history").json()["messages"][0] == message


def test_the_same_message_sent_again_starts_no_second_turn(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    # Given a turn that runs
    with gateway.http(gateway.token()) as http, http.stream("POST", "/api/chat", json=body("c1", "hi")) as first:
        next(events(first))
        turn = worker.claim()
        turn.append(*say("same answer")[:-1])
        # When the message is sent again, while it runs and after it
        with http.stream("POST", "/api/chat", json=body("c1", "hi")) as second:
            stream = events(second)
            next(stream)
            turn.commit({"type": "finish"})
            again = [event for event in stream if not event.startswith(":")]
        later = chunks_of(http.post("/api/chat", json=body("c1", "hi")))
    # Then all are answered with the one turn
    assert len(again) == len(say("same answer")) + 1
    assert text_of(later) == "same answer"
    assert worker.next_task(timeout_s=0.1) is None


def test_a_message_sent_again_much_later_is_answered_from_the_history(
    gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    worker.serve(echo)
    with gateway.http(gateway.token()) as http:
        for at in range(3):
            chunks_of(http.post("/api/chat", json=body("c1", f"message {at}", f"u{at}")))
        again = chunks_of(http.post("/api/chat", json=body("c1", "message 0", "u0")))
        history = http.get("/api/v1/sessions/c1/history").json()["messages"]
    assert text_of(again) == "You said: message 0"
    assert [again[0]["type"], again[-1]["type"]] == ["start", "finish"]
    assert len(history) == 6


def test_a_message_sent_again_after_a_failure_is_tried_again(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    with gateway.http(gateway.token()) as http:
        for expected in ("failed", "completed"):
            done: list[httpx.Response] = []
            post = threading.Thread(target=lambda: done.append(http.post("/api/chat", json=body("c1", "hi"))))  # noqa: B023
            post.start()
            turn = worker.claim()
            if expected == "failed":
                turn.append({"type": "start", "messageId": "a1"})
                turn.commit({"type": "error", "errorText": "no"}, outcome="failed")
            else:
                echo(turn)
            post.join(10)
        history = http.get("/api/v1/sessions/c1/history").json()["messages"]
    assert text_of(chunks_of(done[0])) == "You said: hi"
    assert [message["role"] for message in history] == ["user", "assistant"]


def test_a_changed_message_with_the_same_id_is_a_new_turn(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    with gateway.http(gateway.token()) as http:
        chunks_of(http.post("/api/chat", json=body("c1", "hi")))
        edited = chunks_of(http.post("/api/chat", json=body("c1", "hi, edited", messageId="u1")))
        history = http.get("/api/v1/sessions/c1/history").json()["messages"]
    assert text_of(edited) == "You said: hi, edited"
    assert [message["role"] for message in history] == ["user", "assistant"]


@pytest.mark.parametrize(
    ("query", "title", "approval", "reset"),
    [
        ("", False, "data-tool-approval-request", False),
        ("?ai=5", True, "data-tool-approval-request", False),
        ("?ai=6", True, "tool-approval-request", False),
        ("?ai=7", True, "tool-approval-request", True),
    ],
)
def test_each_generation_of_clients_gets_what_it_understands(
    gateway: GatewayProcess, worker: ScriptedWorker, query: str, title: bool, approval: str, reset: bool
) -> None:
    def answer(turn: Turn) -> None:
        turn.append({"type": "start", "messageId": "a1"}, {"type": "start-step"})
        turn.append({"type": "text-start", "id": "t1"}, {"type": "text-delta", "id": "t1", "delta": "dead"})
        turn.append({"type": "reset-step"})
        call = {"toolCallId": "call1", "toolName": "pay", "title": "Pay"}
        turn.append({"type": "tool-input-available", **call, "input": {}})
        turn.append({"type": "tool-approval-request", "toolCallId": "call1", "approvalId": "ap1"})
        turn.commit({"type": "finish-step"}, {"type": "finish", "finishReason": "tool-calls"})

    worker.serve(answer)
    with gateway.http(gateway.token()) as http:
        chunks = chunks_of(http.post(f"/api/chat{query}", json=body("c1", "hi")))
    types = [chunk["type"] for chunk in chunks]
    assert ("reset-step" in types) is reset
    assert approval in types
    assert any("title" in chunk for chunk in chunks) is title
    assert types[-1] == "finish"


def test_a_regenerate_may_be_repeated(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    def answer(turn: Turn) -> None:
        turn.commit(*say("again", message_id=f"answer-{turn.record.seq}"))

    worker.serve(answer)
    with gateway.http(gateway.token()) as http:
        chunks_of(http.post("/api/chat", json=body("c1", "hi")))
        for _ in range(2):
            request = {"id": "c1", "trigger": "regenerate-message", "messages": [user("hi")]}
            assert text_of(chunks_of(http.post("/api/chat", json=request))) == "again"
        history = http.get("/api/v1/sessions/c1/history").json()["messages"]
    assert [message["id"] for message in history] == ["u1", "answer-2"]


def test_a_resume_replays_the_whole_answer_then_follows(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    said = say("a b c d")
    with gateway.http(gateway.token()) as http:
        with http.stream("POST", "/api/chat", json=body("c1", "hi")) as dropped:
            next(events(dropped))
            turn = worker.claim()
            turn.append(*said[:4])
        with http.stream("GET", "/api/chat/c1/stream") as resumed:
            stream = events(resumed)
            assert next(stream).startswith(":")
            turn.append(*said[4:-1])
            turn.commit(said[-1])
            rest = list(stream)
        assert len(rest) == len(said) + 1
        assert http.get("/api/chat/c1/stream").status_code == 204


@pytest.mark.parametrize("chat", ["unknown", "idle"])
def test_a_resume_of_what_is_not_running_is_204(gateway: GatewayProcess, worker: ScriptedWorker, chat: str) -> None:
    worker.serve(echo)
    with gateway.http(gateway.token()) as http:
        chunks_of(http.post("/api/chat", json=body("idle", "hi")))
        response = http.get(f"/api/chat/{chat}/stream")
    assert (response.status_code, response.content) == (204, b"")


def test_a_queued_answer_is_resumed_too(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    with gateway.http(gateway.token()) as http:
        with http.stream("POST", "/api/chat", json=body("c1", "hi")) as dropped:
            next(events(dropped))
        with http.stream("GET", "/api/chat/c1/stream") as resumed:
            stream = events(resumed)
            next(stream)
            echo(worker.claim())
            assert next(stream) == '{"type":"start","messageId":"answer-0"}'


def test_a_stop_by_http_stops_the_turn(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    with gateway.http(gateway.token()) as http:
        with http.stream("POST", "/api/chat", json=body("c1", "hi")) as response:
            stream = events(response)
            next(stream)
            turn = worker.claim()
            turn.append(*say("x")[:3])
            assert http.post("/api/chat/c1/stop").json() == {"stopped": True}
            until(lambda: turn.append({"type": "text-delta", "id": "t1", "delta": "y"}), "the stop")
            turn.commit({"type": "abort"}, outcome="stopped")
            assert list(stream)[-2:] == ['{"type":"abort"}', "[DONE]"]
        assert http.post("/api/chat/c1/stop").json() == {"stopped": False}


def test_a_dropped_connection_stops_nothing_and_lets_go_of_its_channel(
    gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    with gateway.http(gateway.token()) as http:
        with http.stream("POST", "/api/chat", json=body("c1", "hi")) as response:
            next(events(response))
            turn = worker.claim()
            channel = worker.keys.out_channel(turn.session_id)
            assert dict(worker.client.pubsub_numsub(channel)) == {channel.encode(): 1}
        for _ in range(20):
            assert turn.append({"type": "data-x", "data": 1}) is False
        until(lambda: dict(worker.client.pubsub_numsub(channel)) == {channel.encode(): 0}, "the unsubscribe")
        turn.commit(*say("done"))


def test_chat_ids_may_hold_any_printable_character(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    chat_id = "a/b c%2F?#é/stream"
    with gateway.http(gateway.token()) as http:
        chunks_of(http.post("/api/chat", json=body(chat_id, "hi")))
        path = "a%2Fb%20c%252F%3F%23%C3%A9%2Fstream"
        assert http.get(f"/api/v1/sessions/{path}").json()["externalId"] == chat_id
        assert http.get(f"/api/v1/sessions/{path}/history").json()["externalId"] == chat_id
        assert http.get(f"/api/chat/{path}/stream").status_code == 204
        assert http.post(f"/api/chat/{path}/stop").json() == {"stopped": False}


@pytest.mark.parametrize("query", ["", "?ai=5", "?ai=6", "?ai=7"])
def test_who_resumes_after_a_crash_holds_nothing_of_the_dead_step(
    gateway: GatewayProcess, worker: ScriptedWorker, query: str
) -> None:
    alive = [
        {"type": "text-start", "id": "t2"},
        {"type": "text-delta", "id": "t2", "delta": "alive"},
        {"type": "text-end", "id": "t2"},
        {"type": "finish-step"},
    ]
    with gateway.http(gateway.token()) as http, http.stream("POST", "/api/chat", json=body("c1", "hi")) as response:
        next(events(response))
        turn = worker.claim()
        turn.append(*say("dead")[:4], {"type": "reset-step"}, *alive[:2])
        with http.stream("GET", f"/api/chat/c1/stream{query}") as resumed:
            stream = events(resumed)
            seen = [next(stream) for _ in range(4)]
            stored = turn.commit(*alive[2:], {"type": "finish"})
            seen += list(stream)
    chunks = [orjson.loads(event) for event in seen if event.startswith("{")]
    major: Any = int(query[-1]) if query else 5
    assert fold_message(chunks, major=major)["parts"] == stored["parts"]
    assert stored["parts"][-1]["text"] == "alive"


def test_who_was_cut_off_is_told_the_answer_that_ended_meanwhile(
    gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    with gateway.http(gateway.token()) as http:
        with http.stream("POST", "/api/chat", json=body("c1", "hi")) as response:
            next(events(response))
            turn = worker.claim()
            turn.append(*say("a b")[:3])
        turn.append({"type": "text-delta", "id": "t1", "delta": "!"})
        until(lambda: worker.client.keys("*:cut"), "the gateway to notice")
        stored = turn.commit({"type": "text-end", "id": "t1"}, {"type": "finish-step"}, {"type": "finish"})
        told = chunks_of(http.get("/api/chat/c1/stream"))
        assert fold_message(told) == stored
        assert told[-1] == {"type": "finish"}
        assert http.get("/api/chat/c1/stream").status_code == 204, "once"
