"""Whole turns through every stock client: after each, the page holds what the server stored."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.client import Client, Clients
from tests.e2e.page import assert_same, open_page
from tests.e2e.script import fail, message, part, say, words
from tests.e2e.server import Server, text_of

pytestmark = pytest.mark.e2e


def test_two_turns_are_held_as_they_are_stored(client: Client, clients: Clients, server: Server) -> None:
    chat = open_page(clients, client, server)

    chat.ask(message(say(5, every_ms=5)))
    assert_same(chat, server)

    chat.ask("and again")
    stored = assert_same(chat, server)
    assert [each["role"] for each in stored] == ["user", "assistant"] * 2
    assert [text_of(each) for each in stored[1::2]] == [words(5), "You said: and again"]
    assert (chat.status, chat.errors) == ("ready", [])


def test_an_answer_is_written_again(client: Client, clients: Clients, server: Server) -> None:
    chat = open_page(clients, client, server)
    chat.ask("one")
    first = chat.messages()[-1]["id"]

    chat.regenerate()
    chat.wait_settled()

    stored = assert_same(chat, server)
    assert [text_of(each) for each in stored] == ["one", "You said: one"]
    assert stored[-1]["id"] != first


def test_an_edited_message_drops_what_followed(client: Client, clients: Clients, server: Server) -> None:
    chat = open_page(clients, client, server)
    chat.ask("one")
    chat.ask("two")

    chat.edit(chat.messages()[0]["id"], "uno")
    chat.wait_settled()

    stored = assert_same(chat, server)
    assert [text_of(each) for each in stored] == ["uno", "You said: uno"]


def test_two_tools_run_in_one_step(client: Client, clients: Clients, server: Server) -> None:
    chat = open_page(clients, client, server, "model")
    calls = [_call(0, "get_weather", city="Lisbon"), _call(1, "get_weather", city="Oslo")]
    chat.ask(json.dumps([[{"tool": calls}, {"finish": "tool_calls"}], [{"content": "Done."}, {"finish": "stop"}]]))

    stored = assert_same(chat, server)
    tools = [each for each in stored[-1]["parts"] if each["type"] == "tool-get_weather"]
    assert [(each["state"], each["output"]) for each in tools] == [
        ("output-available", {"city": "Lisbon", "celsius": 6}),
        ("output-available", {"city": "Oslo", "celsius": 4}),
    ]
    assert text_of(stored[-1]) == "Done."


def test_reasoning_is_kept_apart_from_the_text(client: Client, clients: Clients, server: Server) -> None:
    chat = open_page(clients, client, server, "model")
    chat.ask("reason about it")

    stored = assert_same(chat, server)
    reasoning = [each for each in stored[-1]["parts"] if each["type"] == "reasoning"]
    assert [(each["text"], each["state"]) for each in reasoning] == [("Let me think.", "done")]
    assert text_of(stored[-1]) == "I thought about it."


def test_data_parts_replace_each_other_and_transient_ones_pass(
    client: Client, clients: Clients, server: Server
) -> None:
    chat = open_page(clients, client, server)
    progress = {"type": "data-progress", "id": "p"}
    toast = {"type": "data-toast", "data": "saved", "transient": True}
    chat.ask(
        message(
            part({**progress, "data": {"percent": 10}}),
            say(2),
            part(toast),
            part({**progress, "data": {"percent": 100, "note": None}}),
            say(2),
        )
    )

    stored = assert_same(chat, server)
    data = [each for each in stored[-1]["parts"] if each["type"].startswith("data-")]
    assert data == [{**progress, "data": {"percent": 100, "note": None}}]
    assert [each["data"] for each in chat.data] == [{"percent": 10}, "saved", {"percent": 100, "note": None}]
    assert text_of(stored[-1]) == words(4)


def test_an_error_in_mid_answer_keeps_what_was_said(client: Client, clients: Clients, server: Server) -> None:
    chat = open_page(clients, client, server)

    chat.ask(message(say(3), fail("the password is hunter2")))

    stored = assert_same(chat, server)
    assert text_of(stored[-1]) == words(3)
    assert chat.status == "error"
    assert len(chat.errors) == 1
    assert "hunter2" not in json.dumps(chat.chunks) + chat.errors[0]

    chat.ask("and now?")
    assert text_of(assert_same(chat, server)[-1]) == "You said: and now?"


def test_an_error_of_the_model_keeps_what_was_said(client: Client, clients: Clients, server: Server) -> None:
    chat = open_page(clients, client, server, "model")

    chat.ask("error please")

    stored = assert_same(chat, server)
    assert text_of(stored[-1]) == "This goes"
    assert (chat.status, len(chat.errors)) == ("error", 1)


def _call(index: int, name: str, **arguments: Any) -> dict[str, Any]:
    return {"index": index, "id": f"call_{index}", "name": name, "args": json.dumps(arguments)}
