"""The WebSocket door: frames of the stock transport, and ours on top."""

from __future__ import annotations

from typing import Any

import pytest

from tests.flask.conftest import NewGateway
from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker, Turn, echo, say
from tests.flask.talk import socket, text_of, until


def test_a_message_is_answered_in_the_transports_frames(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    with socket(gateway) as ws:
        ws.send("r1", "c1", "hello there")
        chunks = ws.answer("r1")
    assert chunks[0] == {"type": "start", "messageId": "answer-0"}
    assert text_of(chunks) == "You said: hello there"
    assert chunks[-1]["type"] == "finish"


def test_many_chats_share_one_socket(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo, threads=4)
    with socket(gateway) as ws:
        for at in range(20):
            ws.send(f"r{at}", f"c{at}", f"message {at}")
        frames: list[dict[str, Any]] = []
        while sum(frame["type"] == "end" for frame in frames) < 20:
            frames.append(ws.get())
    for at in range(20):
        chunks = [frame["chunk"] for frame in frames if frame["requestId"] == f"r{at}" and frame["type"] == "chunk"]
        assert text_of(chunks) == f"You said: message {at}"


def test_a_message_to_a_busy_chat_waits_and_gets_its_own_answer(
    gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    with socket(gateway) as ws:
        ws.send("r1", "c1", "first", "u1")
        ws.send("r2", "c1", "second", "u2")
        turn = worker.claim()
        turn.append(*say("one", message_id="a1")[:-1])
        turn.commit({"type": "finish"})
        echo(worker.claim())
        frames = ws.until("end", request_id="r2")
    chunks = {
        name: [frame["chunk"] for frame in frames if frame["type"] == "chunk" and frame["requestId"] == name]
        for name in ("r1", "r2")
    }
    assert text_of(chunks["r1"]) == "one"
    assert text_of(chunks["r2"]) == "You said: second"


def test_a_resume_replays_the_answer_from_its_start_and_goes_on(
    gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    said = say("a b c d")
    with socket(gateway) as ws:
        ws.send("r1", "c1", "hi")
        turn = worker.claim()
        turn.append(*said[:5])
        ws.until("chunk")
    with socket(gateway) as ws:
        ws.resume("r2", "c1")
        assert [frame["type"] for frame in (ws.get(), ws.get())] == ["start", "chunk"]
        turn.append(*said[5:-1])
        turn.commit(said[-1])
        rest = ws.until("end")
    assert [frame["chunk"] for frame in rest[:-1]] == said[1:]
    assert [frame["sequence"] for frame in rest[:-1]] == list(range(1, len(said)))


def test_a_resume_at_any_moment_gives_the_whole_answer(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    said = say(" ".join(f"w{at}" for at in range(12)))
    with socket(gateway) as ws:
        ws.send("r0", "c1", "hi")
        turn = worker.claim()
        for at, chunk in enumerate(said[:-1], 1):
            turn.append(chunk)
            ws.resume(f"r{at}", "c1")
        # The last resume has been taken up before the turn ends.
        ws.until("start", request_id=f"r{len(said) - 1}")
        turn.commit(said[-1])
        frames = ws.until("end", request_id=f"r{len(said) - 1}")
    last = [frame for frame in frames if frame["requestId"] == f"r{len(said) - 1}"]
    assert [frame["chunk"] for frame in last if frame["type"] == "chunk"] == said


def test_a_resume_of_a_continuation_rebuilds_what_came_before_it(
    gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    call: dict[str, Any] = {"toolCallId": "call1", "toolName": "ask"}
    with socket(gateway) as ws:
        ws.send("r1", "c1", "hi")
        asked: list[dict[str, Any]] = [
            {"type": "start", "messageId": "a1"},
            {"type": "start-step"},
            {"type": "text-start", "id": "t1"},
            {"type": "text-delta", "id": "t1", "delta": "one moment"},
            {"type": "text-end", "id": "t1"},
            {"type": "tool-input-available", **call, "input": {}},
            {"type": "finish-step"},
        ]
        turn = worker.claim()
        turn.append(*asked)
        turn.commit({"type": "finish", "finishReason": "tool-calls"})
        ws.answer("r1")
        answered = {
            "id": "a1",
            "role": "assistant",
            "parts": [{"type": "tool-ask", "toolCallId": "call1", "state": "output-available", "output": 42}],
        }
        ws.put(
            "send",
            requestId="r2",
            id="c1",
            trigger="submit-message",
            messageId="a1",
            messages=[answered],
            headers={},
            body={},
        )
        turn = worker.claim()
        turn.append({"type": "start", "messageId": "a1"}, {"type": "start-step"})
        ws.until("chunk", request_id="r2")
        ws.resume("r3", "c1")
        frames = ws.until("start", request_id="r3")
        turn.append({"type": "text-start", "id": "t2"}, {"type": "text-delta", "id": "t2", "delta": "it is 42"})
        turn.commit({"type": "text-end", "id": "t2"}, {"type": "finish-step"}, {"type": "finish"})
        frames += ws.until("end", request_id="r3")
        live = [f["chunk"] for f in frames if f["requestId"] == "r2" and f["type"] == "chunk"]
        if not any(f["type"] == "end" and f["requestId"] == "r2" for f in frames):
            ws.until("end", request_id="r2")
    replay = [f["chunk"] for f in frames if f["requestId"] == "r3" and f["type"] == "chunk"]
    assert text_of(replay) == "one momentit is 42"
    assert {"type": "tool-output-available", "toolCallId": "call1", "output": 42} in replay
    assert all(chunk["type"] != "finish" for chunk in replay[:-1])
    assert "one moment" not in text_of(live)


@pytest.mark.parametrize("chat", ["unknown", "idle"])
def test_a_resume_of_what_is_not_running_says_so(gateway: GatewayProcess, worker: ScriptedWorker, chat: str) -> None:
    worker.serve(echo)
    with socket(gateway) as ws:
        ws.send("r1", "idle", "hi")
        ws.answer("r1")
        ws.resume("r2", chat)
        assert ws.get() == {"type": "no-active", "requestId": "r2"}


def test_an_abort_stops_the_turn(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    with socket(gateway) as ws:
        ws.send("r1", "c1", "hi")
        turn = worker.claim()
        turn.append(*say("x")[:3])
        ws.until("chunk")
        ws.put("abort", requestId="r1")
        until(lambda: turn.append({"type": "text-delta", "id": "t1", "delta": "more"}), "the stop")


def test_a_stop_from_another_connection_stops_the_turn(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    with socket(gateway) as ws, socket(gateway) as other:
        ws.send("r1", "c1", "hi")
        turn = worker.claim()
        turn.append(*say("x")[:3])
        other.put("stop", requestId="s1", id="c1")
        assert other.get() == {"type": "ok", "requestId": "s1", "stopped": True}
        until(lambda: turn.append({"type": "text-delta", "id": "t1", "delta": "more"}), "the stop")
        turn.commit({"type": "abort"}, outcome="stopped")
        assert ws.answer("r1")[-1] == {"type": "abort"}
        other.put("stop", requestId="s2", id="c1")
        assert other.get() == {"type": "ok", "requestId": "s2", "stopped": False}


def test_a_closed_socket_stops_nothing(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    with socket(gateway) as ws:
        ws.send("r1", "c1", "hi")
        turn = worker.claim()
        turn.append(*say("x")[:3])
        ws.until("chunk")
    turn.append({"type": "text-delta", "id": "t1", "delta": "more"})
    assert turn.append({"type": "text-end", "id": "t1"}) is False
    message = turn.commit({"type": "finish-step"}, {"type": "finish"})
    with gateway.http(gateway.token()) as http:
        assert http.get("/api/v1/sessions/c1/history").json()["messages"][-1] == message


def test_a_late_abort_does_not_stop_the_next_turn(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    with socket(gateway) as ws:
        ws.send("r1", "c1", "one", "u1")
        echo(worker.claim())
        ws.answer("r1")
        ws.send("r2", "c1", "two", "u2")
        turn = worker.claim()
        ws.put("abort", requestId="r1")
        ws.put("ping", requestId="p")
        ws.until("pong")
        assert turn.append({"type": "start", "messageId": "a2"}) is False


def test_giving_up_a_failed_answer_is_no_stop(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    """The stock transport sends an abort when an error chunk ends its reading."""
    with socket(gateway) as ws:
        ws.send("r1", "c1", "one", "u1")
        turn = worker.claim()
        turn.append({"type": "start", "messageId": "a1"}, {"type": "error", "errorText": "no"})
        while ws.get().get("chunk", {}).get("type") != "error":
            pass
        ws.put("abort", requestId="r1")
        ws.put("ping", requestId="p")
        ws.until("pong")
        assert turn.append({"type": "data-x", "data": 1}) is False


def test_watch_follows_every_turn_from_a_cursor(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    with socket(gateway) as ws, socket(gateway) as watcher:
        ws.send("r1", "c1", "one", "u1")
        ws.answer("r1")
        watcher.put("watch", requestId="w1", id="c1", cursor=-1)
        assert watcher.get() == {"type": "start", "requestId": "w1", "id": "c1", "cursor": -1}
        ws.send("r2", "c1", "two", "u2")
        records = [watcher.get()]
        while sum(record.get("control", {}).get("kind") == "turn-complete" for record in records) < 2:
            records.append(watcher.get())
        watcher.put("unwatch", requestId="w1")
        watcher.until("end")
    # What waits is told beside the records.
    records = [record for record in records if record["type"] != "queue"]
    assert [record["seq"] for record in records] == list(range(len(records)))
    assert all(record["type"] == "record" and record["id"] == "c1" for record in records)
    assert records[0]["control"] == {"kind": "turn-start", "in": 0, "turn": 0, "attempt": 1}
    texts = text_of([record["chunk"] for record in records if "chunk" in record])
    assert texts == "You said: oneYou said: two"


def test_watch_tells_of_what_has_left_the_log(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    with socket(gateway) as ws:
        for at in range(3):
            ws.send(f"r{at}", "c1", "hi", f"u{at}")
            ws.answer(f"r{at}")
        ws.put("watch", requestId="w1", id="c1", cursor=0)
        ws.until("start")
        gap, record = ws.get(), ws.get()
    assert gap == {"type": "trimmed", "requestId": "w1", "id": "c1", "from": 1, "to": record["seq"] - 1}
    assert record["control"]["kind"] == "turn-complete"


def test_a_window_holds_chunks_back_until_they_are_acknowledged(
    gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    said = say(" ".join("abcdefghij"))
    with socket(gateway) as ws:
        ws.send("r1", "c1", "hi", window=4)
        turn = worker.claim()
        turn.append(*said[:-1])
        turn.commit(said[-1])
        first = [ws.get() for _ in range(5)]
        ws.put("ping", requestId="p")
        assert ws.get()["type"] == "pong"
        ws.put("ack", requestId="r1", sequence=3)
        more = [ws.get() for _ in range(4)]
        ws.put("ack", requestId="r1", sequence=1000)
        rest = ws.until("end")
    frames = [*first[1:], *more, *rest[:-1]]
    assert [frame["sequence"] for frame in frames] == list(range(len(said)))


def test_a_token_may_come_in_a_frame_a_header_or_a_subprotocol(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    token = gateway.token()
    with socket(gateway, token=None) as ws:
        ws.put("auth", token=token, requestId="a")
        assert ws.get() == {"type": "ok", "requestId": "a"}
        ws.send("r1", "c1", "hi")
        ws.answer("r1")
    with socket(gateway, token=None) as ws:
        ws.send("r1", "c2", "hi", headers={"authorization": f"Bearer {token}"})
        ws.answer("r1")
    with socket(gateway, token=None, additional_headers={"Authorization": f"Bearer {token}"}) as ws:
        ws.send("r1", "c3", "hi")
        ws.answer("r1")
    for protocols in (["chatagent", f"chatagent.token.{token}"], [f"chatagent.token.{token}"]):
        with socket(gateway, token=None, subprotocols=protocols) as ws:
            assert ws.ws.subprotocol == protocols[0]
            ws.send("r1", f"c{len(protocols)}", "hi")
            ws.answer("r1")


def test_a_user_of_the_host_app_needs_no_token(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    with socket(gateway, token=None, additional_headers={"X-Test-User": "ann"}) as ws:
        ws.send("r1", "c1", "hi")
        ws.answer("r1")
    with socket(gateway, token=None, additional_headers={"X-Test-User": "bob"}) as ws:
        ws.send("r1", "c1", "hi", "u2")
        assert ws.get()["code"] == "forbidden"


def test_a_token_that_ends_while_the_socket_lives_is_renewed_on_it(
    gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    worker.serve(echo)
    with socket(gateway, token=gateway.token(ttl_s=-4)) as ws:  # within the leeway: it ends in a second

        def expired() -> bool:
            ws.send("r1", "c1", "hi")
            return ws.until("end", "error")[-1].get("code") == "unauthorized"

        until(expired, "the token's end")
        ws.put("auth", token=gateway.token(), requestId="a")
        assert ws.get()["type"] == "ok"
        ws.send("r2", "c1", "hi", "u2")
        ws.answer("r2")


def test_a_socket_without_a_token_is_closed_in_time(new_gateway: NewGateway) -> None:
    gateway = new_gateway(auth_timeout_s=0.3)
    with socket(gateway, token=None) as ws:
        until(lambda: ws.ws.protocol.close_code, "the close")
        assert ws.ws.protocol.close_code == 1008
        assert "token" in str(ws.ws.protocol.close_reason)


@pytest.mark.parametrize("options", [{"worker_class": "gthread"}, {"prefix": "/chat"}], ids=["threads", "prefix"])
def test_it_works_under_threads_and_under_a_prefix_too(
    new_gateway: NewGateway, worker: ScriptedWorker, options: dict[str, str]
) -> None:
    worker.serve(echo)
    with socket(new_gateway(**options)) as ws:
        ws.send("r1", "c1", "hello there")
        assert text_of(ws.answer("r1")) == "You said: hello there"


def test_a_chat_that_lost_its_worker_in_the_middle_goes_on(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    with socket(gateway) as ws:
        ws.send("r1", "c1", "hi")
        dead: Turn = worker.claim()
        dead.append(*say("x")[:4])
        worker.client.hset(worker.keys.session(dead.session_id), "lease_until", 0)
        turn = worker.claim(dead.session_id)
        turn.chunks = dead.chunks
        turn.append({"type": "reset-step"})
        turn.append({"type": "text-start", "id": "t2"}, {"type": "text-delta", "id": "t2", "delta": "y"})
        turn.commit({"type": "text-end", "id": "t2"}, {"type": "finish-step"}, {"type": "finish"})
        types = [chunk["type"] for chunk in ws.answer("r1")]
    assert types.count("reset-step") == 1
    assert types[-1] == "finish"
