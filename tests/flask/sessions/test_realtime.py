"""The door of the Trigger.dev client, as it goes over the wire (its behaviours 14 to 45 and 85)."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from tests.flask.conftest import NewGateway
from tests.flask.gateway_app import SECRET
from tests.flask.gateway_process import GatewayProcess
from tests.flask.s2_reader import chunks_of, control_of, header, subscribe
from tests.flask.scripted_worker import ScriptedWorker, echo, say
from tests.flask.talk import text_of, until, user

START = {"type": "chat.agent", "externalId": "c1", "taskIdentifier": "echo", "triggerConfig": {"basePayload": {}}}
BASE = "/realtime/v1/sessions/c1"


def start(gateway: GatewayProcess, chat_id: str = "c1") -> str:
    """Make the chat; gives its session id."""
    with gateway.http(SECRET) as http:
        return str(http.post("/api/v1/sessions", json={**START, "externalId": chat_id}).json()["id"])


def message(text: str, message_id: str = "u1", **further: Any) -> dict[str, Any]:
    payload = {"chatId": "c1", "trigger": "submit-message", "message": user(text, message_id), **further}
    return {"kind": "message", "payload": payload}


def append(http: httpx.Client, record: dict[str, Any], part: str | None = None, chat_id: str = "c1") -> httpx.Response:
    headers = {"X-Part-Id": part} if part else {}
    return http.post(f"/realtime/v1/sessions/{chat_id}/in/append", json=record, headers=headers)


def test_two_turns_come_with_numbers_that_never_start_again(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    start(gateway)
    worker.serve(echo)
    with gateway.http(gateway.token()) as http:
        assert append(http, message("one")).json() == {"ok": True, "seq": 0}
        with subscribe(http, "c1") as reader:
            first = reader.until("turn-complete")
        assert append(http, message("two", "u2")).json()["seq"] == 1
        with subscribe(http, "c1", Last_Event_ID=str(first[-1]["seq_num"])) as reader:
            second = reader.until("turn-complete")
        assert reader.response.headers["X-Stream-Version"] == "v2"
        assert reader.response.headers["Content-Type"] == "text/event-stream"
    assert [record["seq_num"] for record in first + second] == list(range(len(first + second)))
    assert [text_of(chunks_of(records)) for records in (first, second)] == ["You said: one", "You said: two"]
    assert [header(records[-1], "session-in-event-id") for records in (first, second)] == ["0", "1"]


def test_headers_leave_at_once(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    start(gateway)
    with gateway.http(gateway.token()) as http, subscribe(http, "c1") as reader:
        append(http, message("hi"))
        turn = worker.claim()
        records = reader.records()
        assert next(records)["headers"] == [["", "turn-start"]]
        for chunk in say("a b"):
            turn.append(chunk)
            assert chunks_of([next(records)]) == [chunk]


@pytest.mark.parametrize("cut", range(11))
def test_a_stream_cut_anywhere_goes_on_with_the_next_record(
    gateway: GatewayProcess, worker: ScriptedWorker, cut: int
) -> None:
    start(gateway)
    worker.serve(echo)
    with gateway.http(gateway.token()) as http:
        append(http, message("a b"))
        with subscribe(http, "c1") as reader:
            whole = reader.until("turn-complete")
        assert len(whole) == 11 or cut < len(whole)
        with subscribe(http, "c1", Last_Event_ID=str(whole[min(cut, len(whole) - 2)]["seq_num"])) as reader:
            rest = reader.until("turn-complete")
    kept = [(each["seq_num"], each["body"]) for each in whole[min(cut, len(whole) - 2) + 1 :]]
    assert [(each["seq_num"], each["body"]) for each in rest] == kept


@pytest.mark.parametrize("cursor", ["-5", "x", "9999", "0-1"])
def test_a_strange_cursor_loses_nothing(gateway: GatewayProcess, worker: ScriptedWorker, cursor: str) -> None:
    start(gateway)
    with gateway.http(gateway.token()) as http, subscribe(http, "c1", Last_Event_ID=cursor) as reader:
        append(http, message("hi"))
        echo(worker.claim())
        assert text_of(chunks_of(reader.until("turn-complete"))) == "You said: hi"


def test_who_first_comes_while_a_turn_runs_reads_that_turn_alone(
    gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    start(gateway)
    with gateway.http(gateway.token()) as http:
        append(http, message("one"))
        echo(worker.claim())
        append(http, message("two", "u2"))
        with subscribe(http, "c1") as reader:
            echo(worker.claim())
            assert text_of(chunks_of(reader.until("turn-complete"))) == "You said: two"


def test_who_first_comes_after_a_turn_reads_that_turn_alone(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    start(gateway)
    with gateway.http(gateway.token()) as http:
        for at, text in enumerate(("one", "two")):
            append(http, message(text, f"u{at}"))
            echo(worker.claim())
        with subscribe(http, "c1") as reader:
            assert text_of(chunks_of(reader.until("turn-complete"))) == "You said: two"
        with subscribe(http, "c1", Last_Event_ID="-1") as reader:
            assert control_of(next(reader.records())) == "turn-complete", "all that is kept"


def test_one_stream_spans_turns_and_has_many_readers(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    start(gateway)
    worker.serve(echo)
    with (
        gateway.http(gateway.token()) as http,
        subscribe(http, "c1") as one,
        subscribe(http, "c1", X_Trigger_Stream_Start="latest") as other,
    ):
        for at in range(3):
            append(http, message(f"m{at}", f"u{at}"))
            mine, theirs = one.until("turn-complete"), other.until("turn-complete")
            assert text_of(chunks_of(mine)) == text_of(chunks_of(theirs)) == f"You said: m{at}"


def test_an_idle_chat_is_settled(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    start(gateway)
    with gateway.http(gateway.token()) as http:
        append(http, message("hi"))
        turn = worker.claim()
        turn.append(*say("x")[:3])
        with subscribe(http, "c1", X_Peek_Settled="1") as reader:
            assert "X-Session-Settled" not in reader.response.headers
            turn.commit(*say("x")[3:])
            last = reader.until("turn-complete")[-1]["seq_num"]
        for cursor in (0, last):
            with subscribe(http, "c1", X_Peek_Settled="1", Last_Event_ID=str(cursor)) as reader:
                assert reader.response.headers["X-Session-Settled"] == "true"
                assert len(list(reader.records())) == last - cursor
                assert reader.events[-1] == "data: [DONE]"


def test_a_quiet_stream_ends_in_its_time(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    start(gateway)
    with gateway.http(gateway.token()) as http, subscribe(http, "c1", Timeout_Seconds="1") as reader:
        assert list(reader.records()) == []
        assert reader.events == [": stream-open", "data: [DONE]"]


def test_a_silent_turn_is_kept_alive_by_records_that_move_no_cursor(
    gateway_with: NewGateway, worker: ScriptedWorker
) -> None:
    gateway = gateway_with(keepalive_s=0.1)
    start(gateway)
    with gateway.http(gateway.token()) as http, subscribe(http, "c1") as reader:
        append(http, message("hi"))
        turn = worker.claim()
        turn.append(*say("x")[:3])
        records = reader.records()
        seen = [next(records) for _ in range(7)]
        assert [control_of(each) for each in seen[-3:]] == ["heartbeat"] * 3
        assert [each["seq_num"] for each in seen] == [0, 1, 2, 3, 3, 3, 3]
        turn.commit(*say("x")[3:])
        assert next(each["seq_num"] for each in reader.until("turn-complete") if not control_of(each)) == 4


@pytest.mark.parametrize("timeout", ["0", "601", "10abc", "-1", "1.5", ""])
def test_a_timeout_out_of_range_is_refused(gateway: GatewayProcess, worker: ScriptedWorker, timeout: str) -> None:
    start(gateway)
    with gateway.http(gateway.token()) as http:
        assert http.get(f"{BASE}/out", headers={"Timeout-Seconds": timeout}).status_code == 400


def test_a_stop_ends_the_running_turn_and_no_later_one(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    start(gateway)
    with gateway.http(gateway.token()) as http:
        assert append(http, {"kind": "stop"}).json() == {"ok": True}
        append(http, message("one"))
        first = worker.claim()
        assert not first.append(*say("x")[:3])
        append(http, {"kind": "stop", "message": "enough"})
        append(http, {"kind": "stop"})
        assert first.append(*say("x")[3:5])
        first.commit({"type": "abort"}, outcome="stopped")
        append(http, {"kind": "stop"})
        seq = append(http, message("two", "u2")).json()["seq"]
        with subscribe(http, "c1") as reader:
            echo(worker.claim())
            records = reader.until("turn-complete")
    assert text_of(chunks_of(records)) == "You said: two"
    assert int(header(records[-1], "session-in-event-id") or -1) >= seq


def test_a_part_id_makes_two_appends_one(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    start(gateway)
    worker.serve(echo)
    with gateway.http(gateway.token()) as http:
        assert append(http, message("hi"), "p1").json() == append(http, message("hi"), "p1").json()
        append(http, message("hi"), "p2")
        until(lambda: http.get("/api/v1/sessions/c1").json()["turn"] == 2, "two turns")
        until(lambda: http.get("/api/v1/sessions/c1").json()["status"] == "idle", "an idle chat")
        assert http.get("/api/v1/sessions/c1").json()["turn"] == 2


def test_a_closed_chat_says_so_on_both_streams(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    start(gateway)
    with gateway.http(SECRET) as http:
        with subscribe(http, "c1") as reader:
            http.post("/api/v1/sessions/c1/close", json={"reason": "done"})
            record = reader.until("session-closed")[-1]
        assert header(record, "session-closed") == "true"
        assert header(record, "session-closed-reason") == "done"
        for sent in (message("hi"), {"kind": "stop"}):
            refused = append(http, sent)
            assert refused.status_code == 409
            assert refused.headers["x-should-retry"] == "false"
            assert (refused.json()["code"], refused.json()["closedReason"]) == ("session_closed", "done")


def test_a_large_record_is_refused_readably_for_other_origins(gateway_with: NewGateway, worker: ScriptedWorker) -> None:
    gateway = gateway_with(allowed_origins=["https://app.example"])
    start(gateway)
    with gateway.http(gateway.token(), Origin="https://app.example") as http:
        empty = len(str(append(http, message("")).request.content, "utf-8"))
        fits, over = append(http, message("x" * (2**20 - empty))), append(http, message("x" * (2**20 - empty + 1)))
        preflight = http.options(f"{BASE}/in/append", headers={"Access-Control-Request-Headers": "x-part-id"})
        with subscribe(http, "c1", Timeout_Seconds="1") as reader:
            exposed = reader.response.headers["Access-Control-Expose-Headers"]
    assert (fits.status_code, over.status_code) == (200, 413)
    assert over.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert preflight.headers["Access-Control-Allow-Headers"] == "x-part-id"
    assert "PATCH" in preflight.headers["Access-Control-Allow-Methods"]
    assert exposed == "*"


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"kind": "message"},
        {"kind": "message", "payload": {"trigger": "submit-message"}},
        {"kind": "message", "payload": {"trigger": "preload"}},
        {"kind": "message", "payload": {"trigger": "action"}},
        message("hi", busy="perhaps"),
        message("hi", messageId=5),
    ],
)
def test_a_record_that_cannot_be_served_is_refused(
    gateway: GatewayProcess, worker: ScriptedWorker, record: dict[str, Any]
) -> None:
    start(gateway)
    with gateway.http(gateway.token()) as http:
        refused = append(http, record)
        assert refused.status_code == 400, refused.text
        assert http.get("/api/v1/sessions/c1").json()["status"] == "idle"


def test_an_agent_gets_client_data_and_further_fields(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    start(gateway)
    with gateway.http(gateway.token()) as http:
        append(http, message("hi", metadata={"plan": "pro"}, temperature=0.5, continuation=True, sessionId="s"))
    payload = worker.claim().record.payload
    assert payload["metadata"] == {"plan": "pro"}
    assert payload["body"] == {"temperature": 0.5}


def test_a_slim_tool_answer_is_laid_over_the_stored_call(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    start(gateway)
    call = {"type": "tool-input-available", "toolCallId": "t1", "toolName": "ask", "input": {"q": "why"}}
    answer = {"type": "tool-ask", "toolCallId": "t1", "state": "output-available", "output": 42}
    with gateway.http(gateway.token()) as http:
        append(http, message("hi"))
        worker.claim().commit({"type": "start", "messageId": "m1"}, {"type": "start-step"}, call, {"type": "finish"})
        slim = {"id": "another", "role": "assistant", "parts": [answer]}
        append(http, {"kind": "message", "payload": {"chatId": "c1", "trigger": "submit-message", "message": slim}})
        turn = worker.claim()
    assert turn.initial is not None
    assert turn.initial["id"] == "m1"
    assert turn.initial["parts"][-1] == {**answer, "input": {"q": "why"}}


def test_a_chat_may_be_followed_before_it_is_made(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    with gateway.http(gateway.token("read:sessions:c1")) as http:
        assert append(http, message("hi")).status_code == 404
        assert http.get("/realtime/v1/sessions/session_unknown/out").status_code == 404
        assert http.get("/realtime/v1/sessions/c2/out").status_code == 403
        with subscribe(http, "c1") as reader, gateway.http(SECRET) as server:
            start(gateway)
            append(server, message("hi"))
            echo(worker.claim())
            assert text_of(chunks_of(reader.until("turn-complete"))) == "You said: hi"


def test_who_waits_for_a_chat_is_told_when_it_is_made(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    waits = "*:feed:chat:c1"
    # The stream ends before it would look again.
    with gateway.http(SECRET) as http, subscribe(http, "c1", Timeout_Seconds="15") as reader:
        until(lambda: worker.client.pubsub_channels(waits), "a listener")
        start(gateway)
        append(http, message("hi"))
        echo(worker.claim())
        assert text_of(chunks_of(reader.until("turn-complete"))) == "You said: hi"
        until(lambda: not worker.client.pubsub_channels(waits), "no listener")


@pytest.mark.parametrize("named", ["chat", "session"])
@pytest.mark.parametrize("by", ["chat", "session"])
def test_a_token_opens_one_chat_by_both_its_ids(
    gateway: GatewayProcess, worker: ScriptedWorker, named: str, by: str
) -> None:
    ids = {"chat": "c1", "session": start(gateway)}
    start(gateway, "c2")
    read, write = (gateway.token(f"{action}:sessions:{ids[named]}") for action in ("read", "write"))
    with gateway.http(read) as http:
        with subscribe(http, ids[by], Timeout_Seconds="1"):
            pass
        assert http.get(f"/api/v1/sessions/{ids[by]}").status_code == 200
        assert append(http, message("hi"), chat_id=ids[by]).status_code == 403
        assert http.get("/realtime/v1/sessions/c2/out").status_code == 403
    with gateway.http(write) as http:
        assert append(http, message("hi"), chat_id=ids[by]).status_code == 200
        assert append(http, message("hi"), chat_id="c2").status_code == 403
        assert http.get(f"/realtime/v1/sessions/{ids[by]}/out").status_code == 403


@pytest.mark.parametrize("token", [None, "garbled"])
def test_a_stranger_is_refused(gateway: GatewayProcess, worker: ScriptedWorker, token: str | None) -> None:
    start(gateway)
    with gateway.http(token) as http:
        assert append(http, message("hi")).status_code == 401
        assert http.get(f"{BASE}/out").status_code == 401


def test_a_turn_brings_a_token_like_the_one_shown(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    start(gateway)
    worker.serve(echo)
    shown = gateway.token("read:sessions:c1", "read:sessions:c9", user="ann", ttl_s=60)
    with gateway.http(shown) as http, subscribe(http, "c1") as reader:
        with gateway.http(SECRET) as server:
            append(server, message("hi"))
        token = header(reader.until("turn-complete")[-1], "public-access-token")
    identity = gateway.tokens.read(token or "")
    assert (identity.scopes, identity.user, identity.lifetime_s) == (frozenset({"read:sessions:c1"}), "ann", 60.0)
    assert (identity.expires_s or 0) <= time.time() + 60


def test_a_stream_ends_cleanly_when_its_token_does(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    start(gateway)
    with gateway.http(gateway.token("read:sessions:c1", ttl_s=-3)) as http:
        with subscribe(http, "c1") as reader:
            assert list(reader.records()) == []
            assert reader.events[-1] == "data: [DONE]"
        until(lambda: http.get(f"{BASE}/out", headers={"Timeout-Seconds": "1"}).status_code == 401, "an expired token")


def test_a_head_request_is_answered_and_not_held(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    start(gateway)
    with gateway.http(gateway.token()) as http:
        assert http.head(f"{BASE}/out").headers["X-Last-Chunk-Index"] == "0"


def test_nothing_listens_after_readers_left(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    session_id = start(gateway)
    with gateway.http(gateway.token()) as http:
        with subscribe(http, "c1") as reader:
            append(http, message("hi"))
            echo(worker.claim())
            assert control_of(reader.until("turn-complete")[-1])
        append(http, message("again", "u2"))
        echo(worker.claim())  # a write finds that the reader has left
        append(http, message("again", "u3"))
        echo(worker.claim())
        until(lambda: not worker.client.pubsub_channels(f"*{session_id}"), "no listener")
