"""`docs/guide/stopping.md`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chatagent.agent import Agent
from chatagent.agent.agent import read_options
from tests.guide.conftest import Talking
from tests.guide.page import Page, Talk
from tests.provider import FakeProvider
from tests.runtime.world import until

PAGE = Page("stopping")

#: Some words, then silence.
HANGING: list[dict[str, Any]] = [{"content": "So far"}, {"hang": True}]


async def stop(chat: Talk) -> str:
    """Ask, stop once there is text, and give how the turn ended."""
    turn = asyncio.create_task(chat.ask())
    await until(lambda: any(chunk["type"] == "text-delta" for chunk in chat.chunks))
    chat.world.stop(chat.session)
    return await turn


def test_every_block_is_run() -> None:
    PAGE.assert_every_block_is_run(__file__)


def test_a_stop(talk: Talking, openai: FakeProvider, capsys: pytest.CaptureFixture[str]) -> None:
    async def test(chat: Talk) -> None:
        openai.script(HANGING)
        assert await stop(chat) == "stopped"
        assert await asyncio.to_thread(openai.closed_early.wait, 10)
        chat.world.stop(chat.session)  # too late for the turn before, too early for the next
        assert await chat.ask("hello") == "completed"
        assert chat.texts == ["hi", "So far", "hello", "You said: hello"]

    talk(test, PAGE.run("simple")["support"])
    assert capsys.readouterr().out == "stopped None 2\nwhole stop 4\n"


def test_the_three_signals(talk: Talking, capsys: pytest.CaptureFixture[str]) -> None:
    async def test(chat: Talk) -> None:
        assert await stop(chat) == "stopped"

    talk(test, PAGE.run("signals")["searcher"])
    assert capsys.readouterr().out == "the user stopped it\n"


def test_a_turn_that_takes_too_long(talk: Talking, capsys: pytest.CaptureFixture[str]) -> None:
    searcher = PAGE.run("signals")["searcher"]
    assert searcher.options.max_duration_s == 600

    async def test(chat: Talk) -> None:
        assert await chat.ask() == "failed"

    talk(test, Agent(searcher.id, searcher.run, read_options(searcher.id, {"max_duration": 0.2})))
    assert capsys.readouterr().out.startswith("it was cancelled: ")


def test_a_plain_function_in_a_thread(talk: Talking) -> None:
    async def test(chat: Talk) -> None:
        assert await stop(chat) == "stopped"
        assert chat.texts[1].startswith("0 1 ")

    talk(test, PAGE.run("thread")["counting"])


def test_the_rest_of_a_stopped_agent(talk: Talking, openai: FakeProvider, capsys: pytest.CaptureFixture[str]) -> None:
    async def test(chat: Talk) -> None:
        openai.script(HANGING)
        assert await stop(chat) == "stopped"
        assert await chat.ask() == "completed"

    talk(test, PAGE.run("is-stopped")["watched"])
    assert capsys.readouterr().out == "stopped; on_finish was called: False\n"


def test_tidying_up(talk: Talking, openai: FakeProvider, capsys: pytest.CaptureFixture[str]) -> None:
    call = {"tool": [{"index": 0, "id": "c1", "name": "look", "args": '{"at'}]}
    events: list[Any] = []
    space = PAGE.run("cleanup")
    space["by_hand"].on_turn_complete(events.append)

    async def test(chat: Talk) -> None:
        openai.script([{"content": "So far"}, call, {"hang": True}])
        turn = asyncio.create_task(chat.ask())
        await until(lambda: any(chunk["type"] == "tool-input-start" for chunk in chat.chunks))
        chat.world.stop(chat.session)
        assert await turn == "stopped"
        parts = chat.history[1]["parts"]
        assert [part["state"] for part in parts if "state" in part] == ["done", "output-error"]
        assert parts[-1]["type"] == "data-turn-end"

    talk(test, space["by_hand"])
    assert capsys.readouterr().out == "aborted ['done']\n"
    (event,) = events
    assert event.stopped
    assert [part["type"] for part in event.raw_response_message["parts"]][-1] == "tool-look"
    assert event.raw_response_message["parts"][-1]["state"] == "input-streaming"
