"""Connections end, answers do not: a page that comes back shows what it would have shown, through every client."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.client import Chat, Client, Clients
from tests.e2e.page import assert_same, open_page, reload_page
from tests.e2e.script import Step, hold, message, part, say, words
from tests.e2e.server import Server, canonical, text_of

pytestmark = pytest.mark.e2e

#: ai 5 never resets a message on a resume: after a lost connection its page shows the parts that it had before the
#: replay as well, until it is reloaded. No server can help it, since a resume has no cursor (AI SDK reference §4.5).
REPEATS_PARTS_AFTER_A_LOSS: tuple[Client, ...] = ("http5", "http5?ai=5")


def test_a_dropped_connection_is_resumed_in_mid_answer(
    client: Client, clients: Clients, server: Server, gate: Path
) -> None:
    chat = open_page(clients, client, server)
    chat.drop(after=4)
    chat.send(message(say(6), hold(gate), say(6)))
    chat.wait_settled()
    assert (chat.status, chat.finishes[-1]["isDisconnect"]) == ("error", True)

    chat.revive()
    chat.wait_text(words(6))
    gate.touch()
    chat.wait_settled()

    assert chat.status == "ready"
    chat = _reloaded_if_it_repeats(clients, chat, server)
    assert text_of(assert_same(chat, server)[-1]) == words(12)


def test_an_answer_may_be_cut_at_every_chunk(client: Client, clients: Clients, server: Server, tmp_path: Path) -> None:
    steps = _every_kind_of_part()
    for cut in range(1, len(steps) + 2):
        # Given an answer that loses its page after so many chunks, and is not over yet
        gate = tmp_path / f"gate-{cut}"
        chat = open_page(clients, client, server)
        chat.drop(after=cut)
        chat.send(message(*steps, hold(gate), say(2)))
        chat.wait_settled()
        # When the page goes on
        chat.revive()
        chat.wait_chunks(cut + 1)
        gate.touch()
        chat.wait_settled()
        # Then nothing is missing or there twice
        chat = _reloaded_if_it_repeats(clients, chat, server)
        assert text_of(assert_same(chat, server)[-1]) == words(2), f"cut after {cut}"
        chat.close()


@pytest.mark.parametrize("client", ["http6", "http7", "ws7"])
def test_an_answer_that_ended_while_the_connection_was_lost_is_shown_whole(
    client: Client, clients: Clients, server: Server, gate: Path
) -> None:
    chat = open_page(clients, client, server)
    chat.drop(after=4)
    chat.send(message(say(6), hold(gate), say(6)))
    chat.wait_settled()
    gate.touch()
    server.wait_idle(chat.chat_id)

    chat.revive()
    chat.wait_settled()

    assert chat.status == "ready"
    assert text_of(assert_same(chat, server)[-1]) == words(12)


def test_a_page_reloaded_in_mid_answer_goes_on(client: Client, clients: Clients, server: Server, gate: Path) -> None:
    chat = open_page(clients, client, server)
    chat.ask("before")
    chat.send(message(say(6), hold(gate), say(6)))
    chat.wait_text(words(6))

    chat = reload_page(clients, chat, server)
    chat.wait_text(words(6))
    gate.touch()
    chat.wait_settled()

    assert text_of(assert_same(chat, server)[-1]) == words(12)
    chat.ask("after")
    assert len(assert_same(chat, server)) == 6


def test_a_page_reloaded_before_the_first_chunk_goes_on(
    client: Client, clients: Clients, server: Server, gate: Path
) -> None:
    chat = open_page(clients, client, server)
    chat.send(message(hold(gate), say(3)))
    chat.wait_chunks(1)

    chat = reload_page(clients, chat, server)
    chat.wait_chunks(1)
    gate.touch()
    chat.wait_settled()

    assert text_of(assert_same(chat, server)[-1]) == words(3)


def test_a_page_reloaded_after_the_answer_shows_it(client: Client, clients: Clients, server: Server) -> None:
    chat = open_page(clients, client, server)
    chat.ask(message(*_every_kind_of_part(), say(3)))

    chat = reload_page(clients, chat, server)
    chat.wait_settled()

    assert chat.status == "ready"
    assert_same(chat, server)


def test_a_closed_page_does_not_stop_the_answer(client: Client, clients: Clients, server: Server, gate: Path) -> None:
    chat = open_page(clients, client, server)
    chat.send(message(say(3), hold(gate), say(3)))
    chat.wait_text(words(3))

    chat.close()
    gate.touch()

    stored = server.wait_idle(chat.chat_id)
    assert [text_of(each) for each in stored[1:]] == [words(6)]


def test_two_pages_show_one_answer(client: Client, clients: Clients, server: Server, gate: Path) -> None:
    first = open_page(clients, client, server)
    first.send(message(say(3), hold(gate), say(3)))
    first.wait_text(words(3))
    second = clients.open(client, server.url, first.chat_id, token=first.token, messages=server.messages(first.chat_id))
    second.resume()
    second.wait_text(words(3))

    gate.touch()
    first.wait_settled()
    second.wait_settled()

    assert canonical(first.messages()) == canonical(second.messages())
    assert_same(second, server)


def _every_kind_of_part() -> list[Step]:
    """One chunk each: none of them can be merged with its neighbour on the way."""
    call = {"toolCallId": "c1", "toolName": "look"}
    return [
        part({"type": "start-step"}),
        part({"type": "reasoning-start", "id": "r"}),
        part({"type": "reasoning-delta", "id": "r", "delta": "hm"}),
        part({"type": "reasoning-end", "id": "r"}),
        part({"type": "tool-input-start", **call}),
        part({"type": "tool-input-delta", "toolCallId": "c1", "inputTextDelta": '{"at":"it"}'}),
        part({"type": "tool-input-available", **call, "input": {"at": "it"}}),
        part({"type": "tool-output-available", "toolCallId": "c1", "output": {"seen": True}}),
        part({"type": "finish-step"}),
        part({"type": "data-progress", "id": "p", "data": {"percent": 50}}),
        part({"type": "source-url", "sourceId": "s", "url": "https://example.org/", "title": "A source"}),
    ]


def _reloaded_if_it_repeats(clients: Clients, chat: Chat, server: Server) -> Chat:
    """The page, reloaded when its client is one that cannot resume a lost connection without repeating parts."""
    if chat.client not in REPEATS_PARTS_AFTER_A_LOSS:
        return chat
    again = reload_page(clients, chat, server)
    again.wait_settled()
    return again
