"""What more a chat can do than talk, with each release of the client: the scenarios of `features.mjs`."""

from __future__ import annotations

import pytest

from tests.e2e.server import Server, canonical, text_of
from tests.trigger.conftest import Run

pytestmark = pytest.mark.e2e


def stored(server: Server, chat_id: str) -> list[str]:
    """The texts of the chat, when it is idle."""
    return [text_of(message) for message in server.wait_idle(chat_id.replace("/", "%2F"))]


def test_an_action_edits_the_chat_and_may_ask_for_a_turn(run: Run, server: Server) -> None:
    chat_id, seen = run("action")
    assert seen == {"undone": 0, "asked": ["three"]}
    assert stored(server, chat_id) == ["one", "one", "three", "three"]


def test_a_send_that_races_an_action_gets_its_answer(run: Run) -> None:  # 38
    _, seen = run("race")
    assert seen == {"last": "two", "errors": []}


def test_a_steering_message_of_the_hook_joins_the_running_answer(run: Run, server: Server) -> None:
    chat_id, seen = run("pending", "helper")
    assert seen["shown"] == [[seen["more"], "steering"]]
    assert (seen["injected"], seen["left"], seen["count"]) == ([seen["more"]], 0, 2)
    assert "data-pending-message-injected" in seen["kinds"]
    assert len(stored(server, chat_id)) == 2


@pytest.mark.parametrize("busy", ["steer", "enqueue"])
def test_a_send_that_gets_no_turn_of_its_own_ends_with_the_turn_that_ran(run: Run, server: Server, busy: str) -> None:
    chat_id, seen = run("absorbed", "helper", busy=busy)
    assert seen == {"end": "finish", "answers": 1}
    server.wait_idle(chat_id.replace("/", "%2F"))


def test_the_output_of_a_tool_of_the_page_goes_on_with_the_answer(run: Run, server: Server) -> None:  # 4
    chat_id, seen = run("tools", "helper")
    assert (seen["before"], seen["errors"]) == ("input-available", [])
    assert canonical(seen["messages"]) == canonical(server.wait_idle(chat_id.replace("/", "%2F")))
    (call,) = [part for part in seen["messages"][1]["parts"] if part["type"] == "tool-ask_place"]
    assert (call["state"], call["output"]) == ("output-available", "Paris")


def test_a_preload_closes_no_answer(run: Run, server: Server) -> None:
    _, seen = run("preload")
    assert [seen["texts"][at] for at in (0, 2, 3)] == ["preloaded?", "two", "two"]
    assert seen["texts"][1] == "True 0"
    assert seen["errors"] == []


def test_the_package_starts_sessions_for_a_page(run: Run) -> None:
    assert run("startAction")[1] == {"opened": 200, "texts": ["one", "one"], "errors": []}


def test_both_doors_are_open_to_one_chat_at_the_same_time(run: Run, server: Server) -> None:
    chat_id, seen = run("bothDoors")
    assert seen["seen"] == "from stock"
    assert seen["stock"][-2:] == ["again", "again"]
    assert seen["trigger"] == ["from trigger", "from trigger"]
    assert stored(server, chat_id) == [
        text for said in ("from stock", "from trigger", "again") for text in (said, said)
    ]


def test_a_message_in_mid_answer_waits_for_its_own_turn(run: Run, server: Server) -> None:  # 36, 37
    chat_id, seen = run("queued")
    assert (seen["sent"], seen["errors"]) == (True, [])
    # The end of the turn in between does not end the last answer. What it said stands at that answer's beginning: the
    # client reads on from its cursor, and does not say which turn it waits for.
    assert (seen["texts"][1], seen["texts"][-1]) == ("before after", "laterbefore after")
    assert stored(server, chat_id)[1:4] == ["before after", "later", "later"]
    assert stored(server, chat_id)[5:] == ["before after"]


def test_a_token_opens_what_its_scopes_name(run: Run) -> None:  # 85
    # out, out/records, retrieve, append, PATCH, out/append, in/records
    assert run("scopes")[1] == {
        "read": [200, 200, 200, 403, 403, 403, 403],
        "write": [403, 403, 403, 200, 403, 403, 403],
        "out": [200, 200, 403, 403, 403, 403, 403],
        "other": [403, 403, 403, 403, 403, 403, 403],
        "kind": [200, 200, 200, 403, 403, 403, 403],
        "admin": [200, 200, 200, 200, 200, 403, 403],
        "everything": [200, 200, 200, 200, 200, 400, 200],
    }


def test_a_server_sends_and_reads_by_a_handle(run: Run) -> None:
    assert run("handle")[1]["text"] == "one two"


def test_a_server_acts_and_comes_back_to_an_idle_chat(run: Run) -> None:  # 27
    _, seen = run("server")
    assert (seen["told"], seen["acted"], seen["keyless"]) == ("one", "two", 401)
