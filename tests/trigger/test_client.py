"""Every scenario of `driver.mjs`, with each release of the client."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.server import Server, canonical, text_of
from tests.trigger.conftest import Run

pytestmark = pytest.mark.e2e


def test_turns_are_held_as_they_are_stored(run: Run, server: Server) -> None:
    chat_id, seen = run("turns")
    assert canonical(seen["messages"]) == canonical(server.wait_idle(chat_id.replace("/", "%2F")))
    assert [text_of(message) for message in seen["messages"]] == ["one two", "one two", "three", "three"]
    assert (seen["errors"], seen["status"]) == ([], "ready")


def test_lost_connections_lose_and_double_nothing(run: Run, server: Server) -> None:
    chat_id, seen = run("cut")
    assert canonical(seen["messages"]) == canonical(server.wait_idle(chat_id.replace("/", "%2F")))
    assert text_of(seen["messages"][1]) == "a b c d e f"
    assert seen["errors"] == []


def _after_a_stop(seen: dict[str, Any], chat_id: str, server: Server) -> None:
    """The stopped answer and the next one are stored, and the page shows them.

    Up to 4.5.16 a page goes on at its own place after a stop: depending on which came first there, the stop's answer or
    the end of the turn, it takes the rest of the stopped turn for a part of the next one. No gateway can mend that.
    """
    stored = server.wait_idle(chat_id.replace("/", "%2F"))
    assert [text_of(message) for message in stored[1:]] == ["before", "next", "next"]
    if seen["sdk"] != "4.5.16":
        assert [text for at, text in enumerate(seen["texts"]) if at != 0] == ["before", "next", "next"]
        assert seen["errors"] == []


def test_a_stop_ends_one_turn_and_not_the_next(run: Run, server: Server) -> None:
    chat_id, seen = run("stop")
    assert seen["stopped"] is True
    _after_a_stop(seen, chat_id, server)


def test_the_stop_of_the_ai_sdk_is_a_stop_too(run: Run, server: Server) -> None:
    chat_id, seen = run("abort")
    _after_a_stop(seen, chat_id, server)


def test_a_reloaded_page_goes_on_with_the_running_answer(run: Run, server: Server) -> None:
    chat_id, seen = run("reload")
    assert seen["saved"]["isStreaming"] is True
    assert canonical(seen["messages"]) == canonical(server.wait_idle(chat_id.replace("/", "%2F")))
    assert text_of(seen["messages"][1]) == "before after"


def test_a_reloaded_page_of_an_idle_chat_settles_at_once(run: Run) -> None:
    # Else the stream would go on until the scenario's time is up.
    _, seen = run("settled")
    assert seen["texts"] == ["one", "one"]
    assert seen["errors"] == []
    assert len(seen["requests"]) == 1


def test_a_watching_page_sees_turns_that_others_start(run: Run) -> None:
    assert run("watch")[1] == {"seen": ["one", "two"]}


def test_a_closed_chat_takes_no_more(run: Run) -> None:
    _, seen = run("closed")
    assert seen["appends"] == [200, 409]
    if seen["sdk"] != "4.5.16":  # it has no such event
        assert seen["events"] == [["session-closed", "append"]]
    assert len(seen["errors"]) == 1


def test_a_stale_token_is_renewed_once(run: Run) -> None:
    _, seen = run("refresh")
    assert (seen["asked"], seen["texts"], seen["errors"]) == (1, ["one", "one"], [])
    assert [status for path, status, _ in seen["requests"] if path == "in/append"] == [401, 200]


def test_a_chat_that_is_unknown_here_is_made_anew(run: Run) -> None:
    _, seen = run("recreate")
    assert seen["appends"] == [["in/append", 404], ["in/append", 200], ["out", 200]]
    assert (seen["texts"], seen["errors"]) == (["one", "one"], [])


def test_every_turn_brings_a_fresh_token(run: Run) -> None:
    _, seen = run("rollover")
    assert seen["tokens"] >= 2
    assert (seen["texts"], seen["errors"]) == (["one", "one", "two", "two"], [])


def test_a_token_that_ends_in_mid_answer_is_renewed(run: Run) -> None:
    _, seen = run("expiry")
    assert seen["asked"] == 1
    assert (seen["texts"][1], seen["errors"]) == ("before after", [])


def test_a_server_chats_with_an_agent(run: Run) -> None:
    _, seen = run("agentChat")
    stopped = "" if seen.pop("sdk") == "4.5.16" else "before"
    assert seen == {"told": ["one two", "three"], "stopped": stopped, "again": "four", "later": "five", "closed": True}


def test_a_server_manages_sessions(run: Run) -> None:
    chat_id, seen = run("sessions")
    assert seen["cached"] == [False, True]
    assert (seen["same"], seen["dates"], seen["found"]) == (True, True, chat_id)
    assert seen["listed"] == [f"{chat_id}-2", f"{chat_id}-1", chat_id]
    assert seen["back"] == [f"{chat_id}-2"]
    assert seen["updated"] == [["x"], None]
    assert seen["reasons"] == ["a", "a"]
    assert seen["open"] == [chat_id]
    assert seen["again"] == 409
    assert seen["expired"] == [True, None, [f"{chat_id}-old"], 409]
    assert seen["asked"] == 1, "a refusal is not tried again"


def test_a_token_that_the_package_signed_opens_its_chat(run: Run) -> None:
    _, seen = run("publicToken")
    assert (seen["texts"], seen["errors"], seen["reader"]) == (["one", "one"], [], 403)
