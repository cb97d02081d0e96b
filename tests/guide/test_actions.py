"""`docs/guide/actions.md`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import Any

import pytest

from chatagent.agent import Agent
from chatagent.testing import TestChat, calls
from tests.conftest import missing
from tests.guide.door import door
from tests.guide.page import Page

PAGE = Page("actions")


def texts(chat: TestChat) -> list[str]:
    return ["".join(part.get("text", "") for part in each["parts"]) for each in chat.history]


def two_turns(agent: Agent[Any]) -> TestChat:
    """A chat that was asked twice."""
    chat = TestChat(agent, chat_id="chat-1")
    answers = iter(["one", "two", "three", "four"])
    chat.model.respond(lambda request: next(answers))
    chat.send("1")
    chat.send("2")
    return chat


def test_every_block_is_run() -> None:
    PAGE.assert_every_block_is_run(__file__)


def test_actions_change_the_history_and_are_no_turns() -> None:
    with two_turns(PAGE.run("actions")["writer"]) as chat:
        turn = chat.session.turn
        chat.action({"type": "edit", "message_id": chat.history[0]["id"], "text": "1!"})
        assert texts(chat) == ["1!", "one", "2", "two"]
        chat.action({"type": "rollback", "to": chat.history[2]["id"]})
        assert texts(chat) == ["1!", "one", "2"]
        answered = chat.action({"type": "regenerate-from", "message_id": chat.history[0]["id"]})
        assert answered.text == "three"
        assert texts(chat) == ["1!", "three"]
        chat.action({"type": "ask", "text": "more"})
        assert texts(chat) == ["1!", "three", "more", "four"]
        chat.action({"type": "undo"})
        assert texts(chat) == ["1!", "three"]
        assert chat.session.turn == turn + 2, "two of them asked for answers"


def test_an_action_that_does_not_fit_changes_nothing() -> None:
    with two_turns(PAGE.run("actions")["writer"]) as chat:
        for wrong in ({"type": "explode"}, {"type": "rollback"}):
            refused = chat.action(wrong)
            assert refused.outcome == "failed"
            assert str(refused.error).startswith("action")
        assert len(chat.history) == 4


def test_actions_over_http_and_from_python(monkeypatch: pytest.MonkeyPatch) -> None:
    curl = shutil.which("curl") or missing("curl")
    found = re.search(r"<!-- test: curl -->\n```sh\n(.*?)```", PAGE.text, re.DOTALL)
    assert found is not None
    with two_turns(PAGE.run("actions")["writer"]) as chat, door(chat) as gateway:
        environment = {**os.environ, "URL": gateway.url, "TOKEN": gateway.token, "NO_PROXY": "*"}
        script = found[1].replace("curl -s", f"{curl} -sS")
        ran = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, timeout=30)
        assert ran.stdout == '{"seq":2}', ran.stderr
        chat.wait()
        assert texts(chat) == ["1", "one"]
        gateway.name(monkeypatch)
        PAGE.run("python")["handle"].chat.close()
        chat.wait()
        assert texts(chat) == ["1", "one", "Shorter, please.", "three"]


def test_an_undo_waits_for_an_approval() -> None:
    with TestChat(PAGE.run("gate")["payer"]) as chat:
        chat.model.script(calls("pay", euros=5), "paid")
        chat.send("pay")
        refused = chat.action({"type": "undo"})
        assert (refused.outcome, refused.error) == ("failed", "decide about pay first")
        chat.approve()
        assert chat.action({"type": "undo"}).outcome == "completed"
        assert chat.history == []


def test_a_message_with_a_known_id_takes_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    with two_turns(PAGE.run("actions")["writer"]) as chat, door(chat) as gateway:
        PAGE.run("edit", URL=gateway.url, SECRET_KEY=gateway.token)
        assert capsys.readouterr().out == "three\nfour\n"
        assert texts(chat) == ["Write about owls.", "four"]


def test_a_branch_is_a_chat_of_its_own() -> None:
    with two_turns(PAGE.run("branch")["brancher"]) as chat:
        other = chat.another("chat-2")
        other.action({"messages": chat.history[:2]})
        assert other.send("2 again").text == "three"
        assert texts(other) == ["1", "one", "2 again", "three"]
        assert texts(chat) == ["1", "one", "2", "two"]
