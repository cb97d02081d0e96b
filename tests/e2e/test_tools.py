"""Tool calls that wait for the page: what it answers goes on in the same message, once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.agents import MAX_STEPS
from tests.e2e.client import Chat, Client, Clients
from tests.e2e.page import assert_same, open_page, reload_page
from tests.e2e.server import Server, text_of
from tests.stack import wait_until

pytestmark = pytest.mark.e2e

#: ai 5 knows no approvals, so they are not in the stream that all generations understand.
APPROVERS: tuple[Client, ...] = ("ws7", "http6?ai=6", "http7?ai=7")
#: Answers in a row of which the last should have been the end.
MAX_SENDS = 8


def test_the_page_answers_a_tool_call(client: Client, clients: Clients, server: Server) -> None:
    # Given an answer that waits for the page
    chat = open_page(clients, client, server, "model", auto=True)
    chat.ask(_script(_call("ask_place"), [{"content": "So you are there."}, {"finish": "stop"}]))
    stored = assert_same(chat, server)
    assert _states(stored[-1]) == [("tool-ask_place", "input-available")]
    # When the page says where it is
    chat.tool_output("ask_place", "call_0", {"place": "Porto"})
    chat.wait_answers(2)
    # Then the same message goes on
    stored = assert_same(chat, server)
    assert len(stored) == 2
    assert _states(stored[-1]) == [("tool-ask_place", "output-available")]
    assert text_of(stored[-1]) == "So you are there."
    chat.ask("thanks")
    assert len(assert_same(chat, server)) == 4


def test_a_reloaded_page_answers_a_tool_call(client: Client, clients: Clients, server: Server) -> None:
    chat = open_page(clients, client, server, "model", auto=True)
    chat.ask(_script(_call("ask_place"), [{"content": "So you are there."}, {"finish": "stop"}]))

    chat = reload_page(clients, chat, server)
    chat.wait_settled()
    assert_same(chat, server)
    chat.tool_output("ask_place", "call_0", None)
    chat.wait_answers(1)

    stored = assert_same(chat, server)
    assert [text_of(each) for each in stored[1:]] == ["So you are there."]


@pytest.mark.parametrize("client", APPROVERS)
@pytest.mark.parametrize("approved", [True, False], ids=["approved", "denied"])
def test_the_page_approves_or_denies_a_tool_call(
    client: Client, clients: Clients, server: Server, approved: bool, tmp_path: Path
) -> None:
    # Given an answer that waits for approval
    paid = tmp_path / "paid"
    chat = open_page(clients, client, server, "model", auto=True)
    chat.ask(_script(_call("pay", file=str(paid), euros=5), [{"content": "So be it."}, {"finish": "stop"}]))
    stored = assert_same(chat, server)
    assert _states(stored[-1]) == [("tool-pay", "approval-requested")]
    assert not paid.exists()
    # When the user decides
    chat.approve(_approval(stored[-1]), approved, None if approved else "too dear")
    chat.wait_answers(2)
    # Then the call is run, or not, and the answer goes on
    stored = assert_same(chat, server)
    assert text_of(stored[-1]) == "So be it."
    assert _states(stored[-1]) == [("tool-pay", "output-available" if approved else "output-denied")]
    assert (paid.read_text() if approved else paid.exists()) == ("5\n" if approved else False)


@pytest.mark.parametrize("client", APPROVERS)
def test_an_approval_after_a_later_message_goes_on_in_the_message_that_asked(
    client: Client, clients: Clients, server: Server, tmp_path: Path
) -> None:
    paid = tmp_path / "paid"
    chat = open_page(clients, client, server, "model")
    chat.ask(_script(_call("pay", file=str(paid), euros=5), [{"content": "So be it."}, {"finish": "stop"}]))
    asked = _approval(assert_same(chat, server)[-1])
    chat.ask("meanwhile")
    before = assert_same(chat, server)
    assert not paid.exists()

    chat.approve(asked, True)
    chat.wait_settled()
    chat.send_on()
    chat.wait_answers(3)

    stored = assert_same(chat, server)
    assert [each["id"] for each in stored] == [each["id"] for each in before]
    assert (text_of(stored[1]), stored[2:]) == ("So be it.", before[2:])
    assert _states(stored[1]) == [("tool-pay", "output-available")]
    assert paid.read_text() == "5\n"
    chat.ask("thanks")
    assert len(assert_same(chat, server)) == 6


@pytest.mark.parametrize("client", APPROVERS)
def test_an_approval_on_two_pages_pays_once(
    client: Client, clients: Clients, server: Server, other_server: Server, tmp_path: Path
) -> None:
    paid = tmp_path / "paid"
    chat = open_page(clients, client, server, "model", auto=True)
    chat.ask(_script(_call("pay", file=str(paid), euros=5), [{"content": "So be it."}, {"finish": "stop"}]))
    stored = server.messages(chat.chat_id)
    other = clients.open(client, other_server.url, chat.chat_id, token=chat.token, messages=stored, auto=True)

    chat.approve(_approval(stored[-1]), True)
    other.approve(_approval(stored[-1]), True)
    chat.wait_answers(2)
    other.wait_answers(1)

    assert paid.read_text() == "5\n"
    stored = server.wait_idle(chat.chat_id)
    assert [each["role"] for each in stored] == ["user", "assistant"]
    assert text_of(stored[-1]) == "So be it."
    assert_same(reload_settled(clients, chat, server), server)


def test_a_stop_of_a_tool_call_is_not_sent_on_by_the_page(
    client: Client, clients: Clients, server: Server, gate: Path
) -> None:
    chat = open_page(clients, client, server, "model", auto=True)
    chat.send(_script(_call("wait_for", gate=str(gate))))
    wait_until(lambda: any(chunk["type"] == "tool-input-available" for chunk in chat.chunks), "the tool was called")

    server.stop(chat.chat_id)

    _assert_quiet(chat)


def test_an_answer_at_its_step_limit_is_not_sent_on_for_ever(client: Client, clients: Clients, server: Server) -> None:
    chat = open_page(clients, client, server, "model", auto=True)

    chat.send(_script(*[_call("get_weather", city="Lisbon") for _ in range(MAX_STEPS)]))

    _assert_quiet(chat)


@pytest.mark.parametrize("client", APPROVERS)
def test_an_approval_that_comes_too_late_is_not_sent_on_for_ever(
    client: Client, clients: Clients, server: Server, tmp_path: Path
) -> None:
    chat = open_page(clients, client, server, "model", auto=True)
    script = _script(_call("pay", file=str(tmp_path / "paid"), euros=5), [{"content": "Done."}, {"finish": "stop"}])
    chat.ask(script)
    stored = server.messages(chat.chat_id)
    late = clients.open(client, server.url, chat.chat_id, token=chat.token, messages=stored, auto=True)
    chat.approve(_approval(stored[-1]), True, "I may")
    chat.wait_answers(2)

    late.approve(_approval(stored[-1]), True, "I may, too")

    _assert_quiet(late)


def _assert_quiet(chat: Chat) -> None:
    """The page comes to rest, instead of sending the same again and again."""
    wait_until(lambda: _rests(chat) or len(chat.finishes) > MAX_SENDS, "the page rests, or never will")
    sends = len(chat.finishes)
    rests = _rests(chat)
    chat.close()
    assert rests, f"{sends} answers, and no end"


def _rests(chat: Chat) -> bool:
    """Whether an answer has ended and the page has not sent by itself, as it had after this round trip."""
    chat.messages()
    return bool(chat.finishes) and chat.status in ("ready", "error")


def reload_settled(clients: Clients, chat: Chat, server: Server) -> Chat:
    """The page after a reload."""
    again = reload_page(clients, chat, server)
    again.wait_settled()
    return again


def _script(*answers: list[dict[str, Any]]) -> str:
    """A message that says what the model answers, call by call."""
    return json.dumps(answers)


def _call(name: str, **arguments: Any) -> list[dict[str, Any]]:
    call = {"index": 0, "id": "call_0", "name": name, "args": json.dumps(arguments)}
    return [{"tool": [call]}, {"finish": "tool_calls"}]


def _states(message: dict[str, Any]) -> list[tuple[str, str]]:
    """The tool parts of a message and where they stand."""
    return [(part["type"], part["state"]) for part in message["parts"] if part["type"].startswith("tool-")]


def _approval(message: dict[str, Any]) -> str:
    approval_id: str = next(part for part in message["parts"] if "approval" in part)["approval"]["id"]
    return approval_id
