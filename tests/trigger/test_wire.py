"""What the client puts on the wire, watched while it talks to a gateway: the scenarios of `wire.mjs`."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.e2e.server import Server
from tests.loopback import LOOPBACK
from tests.stack import SECRET
from tests.trigger.conftest import Run

pytestmark = pytest.mark.e2e


def test_a_send_is_one_append_of_one_message_and_a_stream(run: Run) -> None:  # 1, 2, 29
    _, seen = run("shape")
    assert seen["order"] == ["in/append", "out"] * 4
    assert seen["kinds"][:3] == [["message", "submit-message"]] * 3
    assert (seen["lists"], seen["roles"][:3], seen["peeks"]) == (0, ["user"] * 3, 0)


def test_a_regenerate_brings_no_message_and_replaces_the_answer(run: Run) -> None:  # 3
    _, seen = run("shape")
    assert (seen["kinds"][3], seen["roles"][3]) == (["message", "regenerate-message"], None)
    assert seen["texts"] == ["one", "one", "two", "two", "three", "three"]


def test_client_data_of_a_send_wins_and_headers_reach_no_record(run: Run) -> None:  # 6, 7
    _, seen = run("data")
    assert seen["metadata"] == {"a": 1, "b": 2}
    assert (seen["own"], seen["parts"]) == (False, 2)
    assert seen["texts"][1] == '{"a": 1, "b": 2} {"extra": true}'


def test_append_and_stream_may_go_to_different_gateways(run: Run) -> None:  # 8
    assert run("hosts")[1] == {"hosts": ["127.0.0.1", "localhost"], "texts": ["one", "one"]}


def test_two_starts_at_once_are_one_session(run: Run) -> None:  # 9
    assert run("starts")[1] == {"started": 1}


def test_a_stale_token_is_renewed_when_a_stream_is_opened(run: Run) -> None:  # 12
    assert run("openRefresh")[1] == {"asked": 1, "told": "one", "statuses": [401, 200]}


def test_a_record_full_of_quotes_is_kept_up_to_the_same_limit(server: Server) -> None:  # 17
    started = server.start("parrot")
    text = '"' * 300_000
    message = {"id": "u1", "role": "user", "parts": [{"type": "text", "text": text}]}
    record = {"kind": "message", "payload": {"chatId": started.chat_id, "message": message}}
    assert 600_000 < len(json.dumps(record)) < 1024 * 1024
    headers = {"Authorization": f"Bearer {SECRET}"}
    url = f"{server.url}/realtime/v1/sessions/{started.chat_id}/in/append"
    answer = httpx.post(url, json=record, headers=headers, **LOOPBACK)
    assert answer.json() == {"ok": True, "seq": 0}
    assert server.wait_idle(started.chat_id)[0]["parts"][0]["text"] == text


def test_a_second_stop_of_a_turn_does_nothing(run: Run) -> None:  # 42
    assert run("secondStop")[1] == {"texts": ["before", "next", "next"], "errors": []}


def test_a_resumed_reader_that_leaves_stops_nothing(run: Run) -> None:  # 44
    assert run("leave")[1] == {"posted": 0, "text": "before after"}


def test_a_stop_is_kept_by_the_page(run: Run) -> None:  # 45
    assert run("keptStop")[1] == {"before": True, "after": False}
