"""`docs/guide/busy.md`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from chatagent.agent import Agent
from chatagent.errors import Busy, NotFound
from chatagent.testing import TestChat, calls, pauses, says
from tests.conftest import missing
from tests.guide.door import door
from tests.guide.page import Page

PAGE = Page("busy")


def block(name: str, language: str) -> str:
    """A block of the page that is no Python."""
    found = re.search(rf"<!-- test: {name} -->\n```{language}\n(.*?)```", PAGE.text, re.DOTALL)
    assert found is not None
    return found[1]


def message(message_id: str, text: str) -> dict[str, Any]:
    return {"id": message_id, "role": "user", "parts": [{"type": "text", "text": text}]}


def texts(chat: TestChat) -> list[str]:
    return ["".join(part.get("text", "") for part in each["parts"]) for each in chat.history]


def waiting(chat: TestChat) -> list[str]:
    return [each["parts"][0]["text"] for each in chat.queue]


@contextmanager
def answering(agent: Agent[Any]) -> Iterator[TestChat]:
    """A chat that answers `first` and is held in the middle of it."""
    with TestChat(agent, chat_id="chat-1") as chat:
        chat.model.script(says("par") + pauses() + says("tial"))
        chat.model.respond(lambda request: "ok")
        chat.send("first", wait=False)
        chat.wait_paused()
        yield chat


def test_every_block_is_run() -> None:
    PAGE.assert_every_block_is_run(__file__)
    assert set(re.findall(r'block\("(\w+)"', Path(__file__).read_text("utf-8"))) == {"curl", "frames"}


@pytest.mark.parametrize(
    "busy, told",
    [
        ("enqueue", ["first", "partial", "two", "ok", "three", "ok"]),
        ("interrupt", ["first", "par", "two", "ok", "three", "ok"]),
        ("rollback", ["two", "ok", "three", "ok"]),
        (None, ["first", "partial", "two", "three", "ok"]),
    ],
)
def test_policies(busy: Any, told: list[str]) -> None:
    with answering(PAGE.run("agent")["assistant"]) as chat:
        chat.send("two", busy=busy, wait=False)
        chat.send("three", busy="enqueue" if busy else None, wait=False)
        if busy in ("enqueue", None):
            chat.resume()
        chat.wait()
        assert texts(chat) == told


def test_a_busy_chat_rejects() -> None:
    with answering(PAGE.run("agent")["assistant"]) as chat:
        with pytest.raises(Busy):
            chat.send("two", busy="reject")
        chat.resume()
        chat.wait()
        assert chat.send("two", busy="reject").text == "ok"


def test_messages_with_a_policy_from_python(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = PAGE.run("pending")["scout"]
    with TestChat(agent, chat_id="chat-1") as chat, door(chat) as gateway:
        gateway.name(monkeypatch)
        chat.model.script(calls("look_around") + pauses(), "white", "welcome")
        answer = chat.send("how is it?", wait=False)
        chat.wait_paused()
        PAGE.run("send")["handle"].chat.close()
        chat.resume()
        assert answer.text == "white"
        chat.wait()
        assert "steering-message" in [part["type"] for part in answer.message["parts"]]
        assert texts(chat) == ["how is it?", "white", "By the way: thank you.", "welcome"]
        assert chat.model.requests[1].prompt == "The user adds: And in winter?"


def test_an_agent_decides_what_it_takes_in() -> None:
    names = PAGE.run("pending")
    with TestChat(names["scout"]) as chat:
        chat.model.script(calls("look_around") + pauses(), calls("look_around") + pauses(), "white", "fine")
        answer = chat.send("how is it?", wait=False)
        chat.wait_paused()
        chat.send("now!", wait=False)
        chat.resume()
        chat.wait_paused()
        chat.send("later", wait=False)
        chat.resume()
        chat.wait()
        assert names["seen"] == ["1 before step 1"]
        assert chat.model.requests[1].prompt == "The user adds: now!"
        assert texts(chat) == ["how is it?", "white", "later", "fine"]
        assert [part["id"] for part in answer.message["parts"] if part["type"] == "steering-message"]


def test_the_queue_by_curl() -> None:
    curl = shutil.which("curl") or missing("curl")
    with answering(PAGE.run("agent")["assistant"]) as chat, door(chat) as gateway:
        for name in ("m2", "m3"):
            chat.send(message(name, name), busy="enqueue", wait=False)
        environment = {**os.environ, "URL": gateway.url, "TOKEN": gateway.token, "NO_PROXY": "*"}
        script = block("curl", "sh").replace("curl -s", f"echo; {curl} -sS")
        ran = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, timeout=30)
        listed, edited, steered, cancelled = [json.loads(line) for line in ran.stdout.splitlines() if line]
        assert [entry["message"]["id"] for entry in listed["queue"]] == ["m2", "m3"]
        assert {"seq", "kind", "busy", "at", "trigger", "message"} == set(listed["queue"][0])
        assert edited["message"]["parts"][0]["text"] == "And in autumn?"
        assert (steered["busy"], cancelled["message"]["id"]) == ("steer", "m3")
        assert waiting(chat) == ["And in autumn?"]
        chat.resume()


def test_the_queue_over_the_websocket() -> None:
    with answering(PAGE.run("agent")["assistant"]) as chat, door(chat) as gateway:
        chat.send(message("m2", "two"), wait=False)
        with connect(
            gateway.ws_url, additional_headers={"Authorization": f"Bearer {gateway.token}"}, proxy=None
        ) as socket:
            replies = []
            for frame in block("frames", "json").splitlines():
                socket.send(frame)
                replies.append(json.loads(socket.recv(timeout=10)))
        assert [reply["type"] for reply in replies] == ["queue", "ok", "ok", "ok"]
        assert replies[0]["queue"][0]["message"]["id"] == "m2"
        assert replies[1]["busy"] == "enqueue"
        assert replies[2]["message"]["id"] == "m2"
        assert waiting(chat) == ["Hurry up."]
        chat.resume()


def test_the_queue_from_python(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(PAGE.run("agent")["assistant"]) as chat, door(chat) as gateway:
        gateway.name(monkeypatch)
        chat.send("two", wait=False)
        chat.send("three", busy="enqueue", wait=False)
        names = PAGE.run("queue")
        assert [line.split()[1:] for line in capsys.readouterr().out.splitlines()] == [
            ["merge", "two"],
            ["enqueue", "three"],
        ]
        assert waiting(chat) == ["And in autumn?"]
        chat.resume()
        chat.wait()
        assert texts(chat) == ["first", "partial", "And in autumn?", "ok"]
        with pytest.raises(NotFound):
            names["handle"].chat.cancel_queued(names["first"]["seq"])
        names["handle"].chat.close()
