"""The framing of S2: numbers without a gap, control records under the client's names, chunks in its dialect."""

from __future__ import annotations

from typing import Any

import orjson

from chatagent.flask.sessions import s2
from chatagent.record import control
from chatagent.relay import Batch
from chatagent.ui import encode

START = control("turn-start", {"in": 3, "turn": 1, "attempt": 1})
COMPLETE = control("turn-complete", {"in": 3, "turn": 1, "outcome": "completed"})


def encoder(major: Any = None, token: str | None = None) -> s2.Encoder:
    return s2.Encoder(major, lambda: token)


def test_every_record_keeps_its_number() -> None:
    delta = encode({"type": "text-delta", "id": "t", "delta": 'a\n\u2028"ß'})
    sent = encoder().encode(Batch(7, [START, delta, COMPLETE]), 5)
    assert [each["seq_num"] for each in sent] == [7, 8, 9]
    assert sent[0]["headers"] == [("", "turn-start")]
    assert orjson.loads(sent[1]["body"]) == {"data": orjson.loads(delta)}
    assert "headers" not in sent[1]
    assert sent[2]["headers"] == [("trigger-control", "turn-complete"), ("session-in-event-id", "3")]
    assert sent[2]["body"] == ""


def test_a_turn_complete_brings_a_fresh_token() -> None:
    (sent,) = encoder(token="new").encode(Batch(0, [COMPLETE]), 0)
    assert ("public-access-token", "new") in sent["headers"]


def test_a_close_says_its_reason_when_there_is_one() -> None:
    told, bare = encoder().encode(Batch(0, [control("session-closed", {"reason": "done"}), b"#session-closed {}"]), 0)
    assert ("session-closed-reason", "done") in told["headers"]
    assert bare["headers"] == [("trigger-control", "session-closed"), ("session-closed", "true")]


def test_what_a_client_does_not_know_is_translated() -> None:
    records = [
        START,
        encode({"type": "custom", "kind": "x.y"}),
        encode({"type": "text-delta", "id": "t", "delta": "a"}),
    ]
    portable, fluent = encoder().encode(Batch(0, records), 0), encoder(7).encode(Batch(0, records), 0)
    assert orjson.loads(portable[1]["body"])["data"]["type"] == "data-custom"
    assert orjson.loads(fluent[1]["body"])["data"]["type"] == "custom"


def test_a_number_is_shared_or_passed_over_where_a_chunk_becomes_several_or_none() -> None:
    start = encode({"type": "text-start", "id": "t"})
    records = [
        START,
        encode({"type": "start-step"}),
        start,
        encode({"type": "reset-step"}),
        encode({"type": "mystery"}),
    ]
    sent = encoder().encode(Batch(0, records), 0)
    assert [each["seq_num"] for each in sent] == [0, 1, 2, 3, 3, 3, 4]
    assert sent[-1]["headers"] == [("", "skip")]


def test_a_client_that_comes_back_is_told_in_the_same_dialect() -> None:
    called = {"type": "tool-input-available", "toolCallId": "c1", "toolName": "x", "input": {}, "dynamic": True}
    answered = encode({"type": "tool-output-available", "toolCallId": "c1", "output": 1})
    through, back = encoder(5), encoder(5)
    whole = through.encode(Batch(0, [START, encode(called), answered]), 0)
    back.pass_over(Batch(0, [START, encode(called)]))
    assert back.encode(Batch(2, [answered]), 0) == whole[2:]
    assert orjson.loads(whole[2]["body"])["data"]["dynamic"] is True


def test_events_are_one_line_each() -> None:
    event = s2.batch_event([s2.record(1, 2, "a\nb"), s2.heartbeat(1, 3)])
    head, data, *rest = event.split(b"\n")
    assert (head, rest) == (b"event: batch", [b"", b""])
    records = orjson.loads(data.removeprefix(b"data: "))["records"]
    assert records[1] == {"seq_num": 1, "timestamp": 3, "body": "", "headers": [["trigger-control", "heartbeat"]]}
    assert s2.error_event("a\nb") == b"event: error\ndata: a b\n\n"
