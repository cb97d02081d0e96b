"""`docs/guide/agents.md`."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

import pytest

from chatagent import chat as chat_module
from chatagent.agent.agent import AgentKeywords
from chatagent.agent.hook import HOOKS
from chatagent.agent.options import AgentOptions
from chatagent.runtime.turn import TurnOptions
from tests.guide.conftest import Talking
from tests.guide.page import Page, Talk
from tests.provider import FakeProvider

PAGE = Page("agents")


def test_every_block_is_run() -> None:
    PAGE.assert_every_block_is_run(__file__)


def test_a_simple_agent(talk: Talking, openai: FakeProvider) -> None:
    async def test(chat: Talk) -> None:
        assert await chat.ask("hello") == "completed"
        assert chat.texts == ["hello", "You said: hello"]

    talk(test, PAGE.run("simple")["simple_chat"])
    (request,) = openai.requests
    assert request.body["model"] == "gpt-4o"
    assert request.body["messages"][0] == {"role": "system", "content": "You are a helpful assistant."}


def test_its_older_name(talk: Talking) -> None:
    async def test(chat: Talk) -> None:
        await chat.ask("hello")
        await chat.ask("again")
        assert chat.texts == ["hello", "You said: hello", "again", "You said: again"]

    agent = PAGE.run("task")["my_chat"]
    assert agent.id == "my-chat"
    talk(test, agent)


def test_a_plain_generator(talk: Talking) -> None:
    async def test(chat: Talk) -> None:
        await chat.ask()
        assert chat.texts[1] == "Please take a seat. You are number 0."
        assert {"type": "data-desk", "data": {"number": 7}} in chat.history[1]["parts"]

    talk(test, PAGE.run("plain")["clerk"])


def test_client_data(talk: Talking, openai: FakeProvider, capsys: pytest.CaptureFixture[str]) -> None:
    async def test(chat: Talk) -> None:
        assert await chat.ask(metadata={"user_id": 7}) == "failed"
        assert "metadata.user_id" in chat.chunks[-1]["errorText"]
        assert openai.requests == []
        assert await chat.ask(metadata={"user_id": "ada", "model": "openai/other"}) == "completed"

    talk(test, PAGE.run("client-data")["typed"])
    assert openai.requests[0].body["model"] == "other"
    assert capsys.readouterr().out.startswith("ada {'inputTokens': 10, ")


def test_hooks(talk: Talking, capsys: pytest.CaptureFixture[str]) -> None:
    async def test(chat: Talk) -> None:
        await chat.ask("hello")
        assert {"type": "data-notice", "data": "Welcome.", "transient": True} in chat.chunks
        await chat.ask("hello")
        assert all(chunk["type"] != "data-notice" for chunk in chat.chunks)
        assert all(part["type"] != "data-notice" for message in chat.history for part in message["parts"])

    talk(test, PAGE.run("hooks")["support"])
    assert capsys.readouterr().out == "0 stop 15\n1 stop 15\n"


def test_hooks_that_answer(talk: Talking, openai: FakeProvider) -> None:
    async def test(chat: Talk) -> None:
        many = {"id": "u0", "role": "user", "parts": [{"type": "text", "text": "x"}] * 11}
        assert await chat.push("message", {"trigger": "submit-message", "message": many}) == "failed"
        assert chat.history == []
        assert await chat.ask("when?") == "completed"

    talk(test, PAGE.run("answering-hooks")["careful"])
    told = [message["content"] for message in openai.requests[0].body["messages"]]
    assert told == ["The shop opens at nine.", "when?"]


@pytest.mark.parametrize("preloaded", [True, False])
def test_preload(talk: Talking, openai: FakeProvider, preloaded: bool) -> None:
    space = PAGE.run("preload")
    loaded: list[str] = []
    load = space["load_user"]

    async def counted(user_id: str) -> Any:
        loaded.append(user_id)
        return await load(user_id)

    space["load_user"] = counted

    async def test(chat: Talk) -> None:
        client = {"user_id": "ada"}
        if preloaded:
            await chat.push("preload", {"metadata": client})
            assert loaded == ["ada"]
            assert chat.chunks == []
        assert await chat.ask(metadata=client) == "completed"

    talk(test, space["eager"])
    assert loaded == ["ada"]
    assert openai.requests[0].body["messages"][0]["content"] == "You help Ada (pro plan)."


def test_the_table_of_hooks_is_that_of_the_events() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `chat\.(\w+)` \| (.+) \|$", PAGE.text, re.MULTILINE)
    assert {hook for hook, _, _ in rows} == set(HOOKS)
    told = {event: set(" ".join(re.findall(r"`([^`]+)`", names)).split()) for _, event, names in rows}
    told["BeforeTurnComplete"] = told["TurnComplete"] | {"writer"}
    for event, names in told.items():
        assert names == {field.name for field in fields(getattr(chat_module, event))}, event


def test_the_table_of_options_is_whole_and_its_defaults_are_true() -> None:
    table = PAGE.text.split("## Options")[1].split("\n\n")[2]
    rows = re.findall(r"^\| (`.+?) \| (.*?) \| ", table, re.MULTILINE)
    told = {name for names, _ in rows for name in re.findall(r"`(\w+)`", names)}
    keywords = set(AgentKeywords.__annotations__) - set(HOOKS)
    assert told == {"client_data"} | (keywords - {"idle_timeout_s"})
    options, deployment = AgentOptions(), TurnOptions()
    assert (options.max_turns, options.turn_timeout_s, options.token_ttl_s) == (100, 3600, 3600)
    assert (deployment.idle_timeout_s, deployment.max_attempts, options.busy) == (30, 3, "enqueue")
    assert (options.max_duration_s, options.concurrency_limit, options.exit_after_preload_idle) == (None, None, False)


def test_the_table_of_the_turn_names_what_there_is() -> None:
    table = PAGE.text.split("## The turn")[1].split("## Options")[0]
    told = {name for cell in re.findall(r"^\| (`.+?) \| ", table, re.MULTILINE) for name in re.findall(r"`(\w+)", cell)}
    turn = chat_module.Turn
    there = {field.name for field in fields(turn)} | {name for name in vars(turn) if not name.startswith("_")}
    assert told - there == {"turn"}  # the head of the table
    assert there - told == {"control", "to_model_messages"}
