"""A stop ends the answer wherever it is pressed: what was said stays, the model's connection is closed."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.client import Chat, Client, Clients
from tests.e2e.page import assert_same, open_page, reload_page
from tests.e2e.script import hold, message, say, words
from tests.e2e.server import Server, canonical, text_of
from tests.provider import FakeProvider, Request
from tests.stack import wait_until

pytestmark = pytest.mark.e2e


def test_a_stop_from_elsewhere_ends_the_answer_on_the_page(
    client: Client, clients: Clients, server: Server, gate: Path
) -> None:
    chat = open_page(clients, client, server)
    chat.send(message(say(3), hold(gate)))
    chat.wait_text(words(3))

    assert server.stop(chat.chat_id) is True
    chat.wait_settled()

    assert (chat.status, chat.errors) == ("ready", [])
    stored = assert_same(chat, server)
    assert [(part["text"], part["state"]) for part in stored[-1]["parts"] if part["type"] == "text"] == [
        (words(3), "done")
    ]
    chat.ask("go on")
    assert text_of(assert_same(chat, server)[-1]) == "You said: go on"


def test_a_stop_on_the_page_ends_the_answer(client: Client, clients: Clients, server: Server, gate: Path) -> None:
    # Given a page in mid-answer
    chat = open_page(clients, client, server)
    chat.send(message(say(3), hold(gate)))
    chat.wait_text(words(3))
    # When its user presses stop
    press_stop(chat, server)
    chat.wait_settled()
    # Then the answer has ended and what was said is kept, here and there
    stored = server.wait_idle(chat.chat_id)
    assert chat.status == "ready"
    assert text_of(stored[-1]) == words(3)
    assert canonical(_with_ended_text(chat.messages())) == canonical(stored)
    # And the chat goes on
    chat.ask("go on")
    assert text_of(chat.messages()[-1]) == "You said: go on"
    chat = reload_page(clients, chat, server)
    chat.wait_settled()
    assert len(assert_same(chat, server)) == 4


def test_a_stop_after_a_reload_ends_the_answer_through_another_gateway(
    client: Client, clients: Clients, server: Server, other_server: Server, gate: Path
) -> None:
    chat = open_page(clients, client, server)
    chat.send(message(say(3), hold(gate)))
    chat.wait_text(words(3))

    chat = reload_page(clients, chat, other_server)
    chat.wait_text(words(3))
    press_stop(chat, other_server)
    chat.wait_settled()

    assert text_of(server.wait_idle(chat.chat_id)[-1]) == words(3)
    assert text_of(chat.messages()[-1]) == words(3)


def test_a_stop_closes_the_connection_to_the_model(
    client: Client, clients: Clients, server: Server, provider: FakeProvider
) -> None:
    chat = open_page(clients, client, server, "model")
    text = f"hang {secrets.token_hex(4)}"
    chat.send(text)
    chat.wait_text("Wait")
    request = _request(provider, text)
    assert not request.closed_early.is_set()

    press_stop(chat, server)

    assert request.closed_early.wait(30)
    assert text_of(server.wait_idle(chat.chat_id)[-1]) == "Wait"


def test_a_stop_after_a_reload_closes_the_connection_to_the_model(
    client: Client, clients: Clients, server: Server, provider: FakeProvider
) -> None:
    chat = open_page(clients, client, server, "model")
    text = f"hang {secrets.token_hex(4)}"
    chat.send(text)
    chat.wait_text("Wait")

    chat = reload_page(clients, chat, server)
    chat.wait_text("Wait")
    press_stop(chat, server)

    assert _request(provider, text).closed_early.wait(30)


def test_a_closed_page_leaves_the_connection_to_the_model_open(
    client: Client, clients: Clients, server: Server, provider: FakeProvider
) -> None:
    chat = open_page(clients, client, server, "model")
    text = f"say 20 chunks every 20 ms {secrets.token_hex(4)}"
    chat.send(text)
    chat.wait_chunks(4)

    chat.close()

    request = _request(provider, text)
    assert request.answered.wait(30)
    assert not request.closed_early.is_set()
    assert text_of(server.wait_idle(chat.chat_id)[-1]) == words(20)


def test_a_stop_resolves_a_tool_call_that_runs(client: Client, clients: Clients, server: Server, gate: Path) -> None:
    chat = open_page(clients, client, server, "model")
    call = {"index": 0, "id": "call_0", "name": "wait_for", "args": json.dumps({"gate": str(gate)})}
    chat.send(json.dumps([[{"content": "One moment."}, {"tool": [call]}, {"finish": "tool_calls"}]]))
    wait_until(lambda: any(chunk["type"] == "tool-input-available" for chunk in chat.chunks), "the tool was called")

    assert server.stop(chat.chat_id)
    chat.wait_settled()

    stored = assert_same(chat, server)
    (tool,) = (part for part in stored[-1]["parts"] if part["type"] == "tool-wait_for")
    assert tool["state"] == "output-error"
    assert text_of(stored[-1]) == "One moment."
    chat.ask("and now?")
    assert text_of(assert_same(chat, server)[-1]) == "You said: and now?"


def test_a_stop_before_the_first_word_ends_the_turn(
    client: Client, clients: Clients, server: Server, gate: Path
) -> None:
    chat = open_page(clients, client, server)
    chat.send(message(hold(gate), say(3)))
    chat.wait_chunks(1)

    assert server.stop(chat.chat_id)
    chat.wait_settled()

    stored = server.wait_idle(chat.chat_id)
    assert [each["role"] for each in stored] == ["user", "assistant"]
    chat.ask("go on")
    assert text_of(chat.messages()[-1]) == "You said: go on"


def test_a_stop_when_nothing_runs_does_not_touch_the_next_turn(clients: Clients, server: Server) -> None:
    chat = open_page(clients, "http7", server)
    chat.ask("one")

    assert server.stop(chat.chat_id) is False
    chat.ask("two")

    assert text_of(assert_same(chat, server)[-1]) == "You said: two"


def test_two_stops_end_one_turn(clients: Clients, server: Server, other_server: Server, gate: Path) -> None:
    chat = open_page(clients, "ws7", server)
    chat.send(message(say(3), hold(gate)))
    chat.wait_text(words(3))

    server.stop(chat.chat_id)
    other_server.stop(chat.chat_id)
    chat.wait_settled()
    chat.ask(message(say(2)))

    stored = assert_same(chat, server)
    assert [text_of(each) for each in stored[1::2]] == [words(3), words(2)]
    assert server.read(chat.chat_id)["turn"] == 2


def press_stop(chat: Chat, server: Server) -> None:
    """What a page does: its client hangs up, and over HTTP the page tells the server, as the client cannot."""
    if chat.client != "ws7":
        server.stop(chat.chat_id)
    chat.stop()


def _with_ended_text(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages with `streaming` parts ended: a page that hangs up does not hear their end (AI SDK reference §4.6)."""
    ended = {"streaming": {"state": "done"}}
    return [
        {**each, "parts": [{**part, **ended.get(part.get("state", ""), {})} for part in each["parts"]]}
        for each in messages
    ]


def _request(provider: FakeProvider, text: str) -> Request:
    """The model call for a message."""
    return next(each for each in provider.requests if text in json.dumps(each.body["messages"]))
