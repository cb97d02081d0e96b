"""Workers die or leave in mid-answer: the answer is completed by another, once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.client import CLIENTS, FLUENT, Chat, Clients
from tests.e2e.fleet import Fleet
from tests.e2e.page import assert_same, open_page, reload_page
from tests.e2e.script import die, hold, message, note, say, words
from tests.e2e.server import Server, canonical, text_of
from tests.stack import Process, wait_until

pytestmark = pytest.mark.chaos


def test_an_answer_whose_worker_is_killed_is_completed_by_another(
    fleet: Fleet, clients: Clients, server: Server, gate: Path
) -> None:
    # Given answers on two workers
    fleet.staff(2)
    chats = [open_page(clients, client, server) for client in CLIENTS]
    for chat in chats:
        chat.send(message(say(3), hold(gate), say(3)))
    for chat in chats:
        chat.wait_text(words(3))
    # When one of them is killed
    victim = _holder(fleet, server, chats[0])
    orphans = [chat for chat in chats if _holder(fleet, server, chat) is victim]
    victim.kill()
    gate.touch()
    # Then every answer is completed, as it would have been
    for chat in chats:
        stored = server.wait_idle(chat.chat_id)
        assert [text_of(each) for each in stored[1:]] == [words(6)], chat
    # And nothing of the dead worker is in it, here or there
    for chat in chats:
        chat.wait_settled()
        if chat in orphans and chat.client not in FLUENT:
            # Parts of a broken step cannot be taken back there: they stay until a reload.
            chat = reload_page(clients, chat, server)
            chat.wait_settled()
        stored = assert_same(chat, server)
        assert [part["type"] for part in stored[-1]["parts"]] == ["step-start", "text"]
        assert chat.errors == []
        chat.close()


def test_a_killed_worker_costs_no_tool_call_twice(
    fleet: Fleet, clients: Clients, server: Server, gate: Path, tmp_path: Path
) -> None:
    # Given an answer whose first step booked something, and whose second waits
    fleet.staff(2)
    bookings = tmp_path / "bookings"
    chat = open_page(clients, "ws7", server, "model")
    chat.send(
        json.dumps(
            [
                _calls("book", file=str(bookings), what="a room"),
                _calls("wait_for", gate=str(gate)),
                [{"content": "All booked."}, {"finish": "stop"}],
            ]
        )
    )
    wait_until(lambda: _called(chat, "wait_for"), "the second step runs")
    # When its worker is killed
    _holder(fleet, server, chat).kill()
    gate.touch()
    # Then another goes on after the booking
    stored = server.wait_idle(chat.chat_id)
    assert text_of(stored[-1]) == "All booked."
    assert bookings.read_text().splitlines() == ["a room"]
    tools = [(part["type"], part["state"]) for part in stored[-1]["parts"] if part["type"].startswith("tool-")]
    assert tools == [("tool-book", "output-available"), ("tool-wait_for", "output-available")]
    chat.wait_settled()
    assert_same(chat, server)


def test_a_worker_that_is_told_to_end_hands_its_answers_over(
    fleet: Fleet, clients: Clients, server: Server, gate: Path
) -> None:
    # Given answers that last longer than a worker may take to end
    fleet.staff(2)
    chats = [open_page(clients, client, server) for client in CLIENTS]
    for chat in chats:
        chat.send(message(say(3), hold(gate), say(3)))
    for chat in chats:
        chat.wait_text(words(3))
    leaver = _holder(fleet, server, chats[0])
    handed = [chat for chat in chats if _holder(fleet, server, chat) is leaver]
    # When one is told to end
    assert leaver.terminate() == 0
    # Then its answers go on elsewhere
    for chat in handed:
        wait_until(lambda chat=chat: _owner(fleet, server, chat) not in (None, leaver), "another worker has it")  # type: ignore[misc]
    gate.touch()
    for chat in chats:
        stored = server.wait_idle(chat.chat_id)
        assert [text_of(each) for each in stored[1:]] == [words(6)]
        chat.wait_settled()
        assert chat.errors == []
        chat.close()


def test_a_stop_while_nobody_answers_ends_the_turn(
    fleet: Fleet, clients: Clients, server: Server, gate: Path, tmp_path: Path
) -> None:
    fleet.staff(2)
    diary = tmp_path / "diary"
    chat = open_page(clients, "ws7", server)
    chat.send(message(note(diary, "begun"), say(3), hold(gate)))
    chat.wait_text(words(3))

    _holder(fleet, server, chat).kill()
    assert server.stop(chat.chat_id)
    chat.wait_settled()

    stored = server.wait_idle(chat.chat_id)
    assert [each["role"] for each in stored] == ["user", "assistant"]
    assert diary.read_text() == "begun\n"
    assert_same(chat, server)
    chat.ask("go on")
    assert text_of(assert_same(chat, server)[-1]) == "You said: go on"


def test_messages_that_wait_behind_a_killed_turn_are_answered_in_order(
    fleet: Fleet, clients: Clients, server: Server, gate: Path, tmp_path: Path
) -> None:
    fleet.staff(2)
    diary = tmp_path / "diary"
    chat = open_page(clients, "ws7", server)
    chat.send(message(say(2), hold(gate), note(diary, "first")))
    chat.wait_text(words(2))
    second = clients.open("http7", server.url, chat.chat_id, token=chat.token)
    second.send(message(note(diary, "second"), say(2)))
    wait_until(lambda: len(server.messages(chat.chat_id)) == 2, "the second message is there")

    _holder(fleet, server, chat).kill()
    gate.touch()

    stored = server.wait_idle(chat.chat_id)
    assert [each["role"] for each in stored] == ["user", "assistant"] * 2
    assert diary.read_text().splitlines() == ["first", "second"]
    second.wait_settled()
    assert canonical(second.messages()[-1:]) == canonical(stored[-1:])


def test_a_message_that_kills_its_workers_is_given_up(fleet: Fleet, clients: Clients, server: Server) -> None:
    fleet.staff(3)
    chat = open_page(clients, "http7", server)

    chat.ask(message(say(2), die()))

    assert chat.status == "error"
    stored = assert_same(chat, server)
    assert [each["role"] for each in stored] == ["user", "assistant"]
    assert [worker.exit_code for worker in fleet.workers].count(None) == 1
    chat.ask("and now?")
    assert text_of(assert_same(chat, server)[-1]) == "You said: and now?"


def _holder(fleet: Fleet, server: Server, chat: Chat) -> Process:
    """The worker that answers in a chat now."""
    found = wait_until(lambda: _owner(fleet, server, chat), f"a worker answers in {chat.chat_id}")
    assert found is not None
    return found


def _owner(fleet: Fleet, server: Server, chat: Chat) -> Process | None:
    session_id: str = server.read(chat.chat_id)["id"]
    return fleet.holder(session_id)


def _calls(name: str, **arguments: Any) -> list[dict[str, Any]]:
    """The model's answer when it calls one tool."""
    call = {"index": 0, "id": f"call_{name}", "name": name, "args": json.dumps(arguments)}
    return [{"tool": [call]}, {"finish": "tool_calls"}]


def _called(chat: Chat, tool: str) -> bool:
    return any(chunk["type"] == "tool-input-available" and chunk["toolName"] == tool for chunk in chat.chunks)
