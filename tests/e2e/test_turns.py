"""Whole turns through every stock client: after each, the page holds what the server stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.client import CLIENTS, Client, Clients
from tests.e2e.script import fail, message, part, say, words
from tests.e2e.server import Server, canonical, text_of

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("client", CLIENTS)
def test_two_turns_are_held_as_they_are_stored(client: Client, clients: Clients, server: Server) -> None:
    started = server.start("echo")
    chat = clients.open(client, server.url, started.chat_id, token=started.token)

    chat.ask(message(say(5, every_ms=5)))
    assert canonical(chat.messages()) == canonical(server.messages(started.chat_id))

    chat.ask("and again")
    messages = server.messages(started.chat_id)
    assert [each["role"] for each in messages] == ["user", "assistant"] * 2
    assert [text_of(each) for each in messages[1::2]] == [words(5), "You said: and again"]
    assert canonical(chat.messages()) == canonical(messages)
    assert (chat.status, chat.errors) == ("ready", [])
