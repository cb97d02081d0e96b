"""`docs/guide/state.md`."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chatagent import chat as chat_module
from tests.guide.conftest import Talking
from tests.guide.page import Page, Talk
from tests.provider import FakeProvider
from tests.runtime.world import text_of

PAGE = Page("state")


def told(openai: FakeProvider, at: int = -1) -> list[str]:
    """What a model call was told."""
    return [str(message["content"]) for message in openai.requests[at].body["messages"]]


def test_every_block_is_run() -> None:
    PAGE.assert_every_block_is_run(__file__)


def test_a_local(talk: Talking, openai: FakeProvider) -> None:
    space = PAGE.run("local")
    users = space["users"]
    users["ada"] = space["User"](user_id="ada", name="Ada", message_count=4)
    client = {"metadata": {"user_id": "ada"}}

    async def test(chat: Talk) -> None:
        await chat.ask("hello", **client)
        assert told(openai)[0] == "Helping Ada (free plan)."
        await chat.ask('call premium_feature {"feature": "x"}', **client)
        assert "requires a Pro plan" in str(chat.history[-1]["parts"])
        assert users["ada"].message_count == 6
        await chat.engine.suspend(chat.session.id)
        await chat.ask("again", **client)
        assert users["ada"].message_count == 7

    talk(test, space["support"])


def test_a_local_in_a_subtask(talk: Talking) -> None:
    async def test(chat: Talk) -> None:
        await chat.ask('call analyze {"query": "sales"}')
        (part,) = [part for part in chat.history[1]["parts"] if "toolCallId" in part]
        assert part["output"] == "sales, for Alice"

    space = PAGE.run("subtask")
    talk(test, space["analyst"], space["analyze_data"])


def test_deferred_work(talk: Talking, capsys: pytest.CaptureFixture[str]) -> None:
    async def test(chat: Talk) -> None:
        await chat.ask()

    tracked = PAGE.run("defer")["tracked"]
    tracked.on_turn_complete(lambda event: print("complete"))
    talk(test, tracked)
    assert capsys.readouterr().out == "turn_started {'chat_id': 'c1'}\ncomplete\n"


def test_what_is_injected_is_for_the_next_turn(talk: Talking, openai: FakeProvider) -> None:
    async def test(chat: Talk) -> None:
        await chat.ask("a price, please")
        assert told(openai) == ["a price, please"]
        await chat.ask("thanks")
        assert told(openai)[0] == "You named a price. Say in your next answer that it may change."
        await chat.ask("bye")
        assert "may change" not in told(openai)[0]

    talk(test, PAGE.run("inject")["reviewed"])


def test_history(talk: Talking) -> None:
    async def test(chat: Talk) -> None:
        for text in ("one", "two", "three"):
            await chat.ask(text)
        await chat.push("action", {"action": {"type": "undo"}})
        assert chat.texts == ["one", "You said: one", "two", "You said: two"]
        await chat.push("action", {"action": {"type": "rollback", "message_id": "u1"}})
        assert chat.texts == ["one"]
        await chat.push("action", {"action": {"type": "retell", "text": "four"}})
        assert chat.texts == ["one", "four", "You said: four"]
        assert await chat.push("action", {"action": {"type": "explode"}}) == "failed"

    talk(test, PAGE.run("history")["editor"])


def test_the_table_of_verbs_is_whole() -> None:
    verbs = set(re.findall(r"`(\w+)\(", PAGE.text.split("| verb | |")[1].split("\n\n")[0]))
    there = {name for name, value in vars(chat_module.History).items() if callable(value) and not name.startswith("_")}
    assert verbs == there - {"become"}


def test_the_table_of_locals_names_what_there_is() -> None:
    table = PAGE.text.split("`chat.local(id, type)`")[1].split("\n\n")[0]
    there = {name for name in vars(chat_module.Local) if not name.startswith("_")}
    assert set(re.findall(r"`user\.(\w+)", table)) - {"name"} == there


@pytest.mark.parametrize(
    ("tags", "prompt"), [((), "You are helpful."), (("vip",), "You are helpful, and very polite.")]
)
def test_prompt(talk: Talking, openai: FakeProvider, tags: tuple[str, ...], prompt: str) -> None:
    async def test(chat: Talk) -> None:
        session, _ = chat.world.side.sessions.create("tagged", "prompted", queue="turns", user="ada", tags=tags)
        await Talk(chat.world, chat.engine, session).ask()
        assert told(openai)[0] == prompt

    talk(test, PAGE.run("prompt")["prompted"])


def test_timeouts(talk: Talking) -> None:
    async def test(chat: Talk) -> None:
        await chat.ask()
        raw: Any = chat.world.side.client.hgetall(f"test:{{{chat.session.id}}}:session")
        fields = {name.decode(): value for name, value in raw.items()}
        ended = int(fields["updated_at"])
        assert int(fields["run_until"]) - ended == 2 * 3600 * 1000
        assert int(fields["warm_until"]) - ended == 60 * 1000
        run_id = chat.world.side.sessions.get("c1").run_id
        for _ in range(9):
            await chat.ask()
            assert chat.world.side.sessions.get("c1").run_id == run_id
        await chat.ask()
        assert chat.world.side.sessions.get("c1").run_id != run_id
        assert len(chat.history) == 22

    talk(test, PAGE.run("timeouts")["patient"])


def test_your_own_database(talk: Talking, tmp_path: Path) -> None:
    space = PAGE.run("database")
    space["FILE"] = str(tmp_path / "chats.db")

    def row() -> tuple[Any, ...]:
        with closing(sqlite3.connect(space["FILE"])) as db:
            found: tuple[Any, ...] = db.execute(
                "SELECT user_id, messages, run_id, token, last_event_id FROM chats"
            ).fetchone()
            return found

    seen: list[list[str]] = []
    space["my_chat"].on_turn_start(lambda event: seen.append(text_of(json.loads(row()[1]))))

    async def test(chat: Talk) -> None:
        for text in ("one", "two"):
            await chat.ask(text, metadata={"user_id": "ada"})
        user_id, messages, run_id, _token, last_event_id = row()
        assert user_id == "ada"
        assert json.loads(messages) == chat.history
        found = chat.world.side.sessions.get("c1")
        assert (run_id, int(last_event_id)) == (found.run_id, found.complete_seq)
        assert seen == [["one"], ["one", "You said: one", "two"]]

    talk(test, space["my_chat"])


def test_rows_that_are_the_truth(talk: Talking) -> None:
    space = PAGE.run("hydrate")
    old = {"id": "m0", "role": "user", "parts": [{"type": "text", "text": "from a row"}]}
    space["rows"]["c1"] = [old]

    async def test(chat: Talk) -> None:
        await chat.ask("hello")
        assert chat.texts == ["from a row", "hello", "You said: hello"]
        space["rows"]["c1"].pop(0)
        await chat.ask("again")
        assert chat.texts == ["hello", "You said: hello", "again", "You said: again"]

    talk(test, space["hydrated"])
