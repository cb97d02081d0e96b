"""Whole turns through every stock client: after each, the page holds what the server stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.client import Client, Clients
from tests.e2e.page import assert_same, open_page
from tests.e2e.script import fail, hold, message, part, say, words
from tests.e2e.server import Server, canonical, text_of
from tests.provider import FakeProvider
from tests.stack import wait_until

pytestmark = pytest.mark.e2e

#: Text that breaks line-based streams, byte counts and escapes.
TEXTS = [
    "line\nbreaks\r\nand\ttabs",
    "data: [DONE]\n\ndata: {}",
    "\u2028 \u2029 \x85 \x00 \x1f \ufeff",
    "👩‍👩‍👧‍👦 é ﷽ שלום 漢字",
    '"quotes" \\ back\\slashes </script> __proto__ #turn-complete {}',
]


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


def test_any_text_comes_back_as_it_was(client: Client, clients: Clients, server: Server) -> None:
    chat = open_page(clients, client, server)
    texts = [*TEXTS, "".join(TEXTS)]
    for text in texts:
        chat.ask(text)

    stored = assert_same(chat, server)
    assert [text_of(each) for each in stored[::2]] == texts
    assert [text_of(each) for each in stored[1::2]] == [f"You said: {text}" for text in texts]


def test_a_message_sent_in_mid_answer_is_answered_after_it(
    client: Client, clients: Clients, server: Server, gate: Path
) -> None:
    chat = open_page(clients, client, server)
    chat.send(message(say(3), hold(gate), say(3)))
    chat.wait_text(words(3))

    other = clients.open(client, server.url, chat.chat_id, token=chat.token, messages=server.messages(chat.chat_id))
    other.send("and then?")
    wait_until(lambda: len(server.messages(chat.chat_id)) >= 2, "the second message is there")
    gate.touch()
    chat.wait_settled()
    other.wait_settled()

    stored = server.messages(chat.chat_id)
    assert [text_of(each) for each in stored[1:]] == [words(6), "and then?", "You said: and then?"]
    assert canonical(chat.messages()) == canonical(stored[:2])
    assert canonical(other.messages()[-2:]) == canonical(stored[2:])


def test_a_file_comes_with_a_message(client: Client, clients: Clients, server: Server, provider: FakeProvider) -> None:
    chat = open_page(clients, client, server, "model")
    file = {"type": "file", "mediaType": "image/png", "url": "data:image/png;base64,iVBORw0KGgo="}
    chat.send_parts(file, {"type": "text", "text": f"look {chat.chat_id}"})
    chat.wait_settled()

    stored = assert_same(chat, server)
    assert stored[0]["parts"][0] == file
    content = next(each for each in provider.requests if chat.chat_id in json.dumps(each.body)).body["messages"][-1]
    assert content["content"][0]["image_url"]["url"] == file["url"]


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
