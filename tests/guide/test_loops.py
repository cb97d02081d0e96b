"""`docs/guide/loops.md`."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from chatagent import TaskRun, task
from chatagent import chat as chat_module
from chatagent.testing import TestChat, fails, pauses, says
from tests.guide.page import Page

PAGE = Page("loops")


def texts(messages: list[dict[str, object]]) -> list[str]:
    return ["".join(part.get("text", "") for part in message["parts"]) for message in messages]  # type: ignore[attr-defined]


def test_every_block_is_run() -> None:
    PAGE.assert_every_block_is_run(__file__)


def test_a_loop_over_the_turns_of_a_chat() -> None:
    names = PAGE.run("session")
    with TestChat(names["my_chat"], client_data={"user_id": "ada"}) as chat:
        chat.model.script("one", says("tw") + pauses() + says("o"), "three")
        chat.send("1", client_data={"user_id": "ada"})
        stopped = chat.send("2", wait=False, client_data={"user_id": "ada"})
        chat.wait_paused()
        chat.stop()
        assert (stopped.outcome, stopped.text) == ("stopped", "tw")
        chat.restart()
        assert chat.send("3").text == "three"
        row = names["chats"][chat.chat_id]
        assert row["user_id"] == "ada"
        assert texts(row["messages"]) == texts(chat.history) == ["1", "one", "2", "tw", "3", "three"]
        assert len(chat.model.last_request.messages) == 5


def test_a_model_that_fails_ends_its_turn_and_not_the_loop() -> None:
    with TestChat(PAGE.run("session")["my_chat"]) as chat:
        chat.model.script(fails("no luck"), "fine")
        assert chat.send("1").outcome == "failed"
        run = chat.session.run_id
        assert chat.send("2").text == "fine"
        assert chat.session.run_id == run


def test_a_turn_in_pieces() -> None:
    names = PAGE.run("manual")
    with TestChat(names["my_chat"]) as chat:
        chat.model.script("one", fails("no luck"), "three")
        outcomes = [chat.send(text).outcome for text in ("1", "2", "3")]
        assert outcomes == ["completed", "failed", "completed"]
        assert texts(names["saved"]) == ["one", "three"]
        assert [message["id"] for message in names["saved"]] == [chat.history[at]["id"] for at in (1, -1)]


def test_one_turn_by_hand() -> None:
    agent = PAGE.run("pipe")["manual_chat"]
    assert (agent.options.max_attempts, agent.options.concurrency_limit) == (3, 10)
    with TestChat(agent) as chat:
        chat.model.script("one", "two")
        assert [chat.send("1").text, chat.send("2").text] == ["one", "two"]
        assert [message["content"] for message in chat.model.last_request.messages] == ["1", "one", "2"]


def test_the_table_of_the_payload_names_what_there_is() -> None:
    table = PAGE.text.split("| `payload.` |")[1].split("\n\n")[0]
    told = {name for cell in re.findall(r"^\| (`.+?) \| ", table, re.MULTILINE) for name in re.findall(r"`(\w+)", cell)}
    assert told == {field.name for field in fields(chat_module.ChatTaskPayload)}


def test_a_task_of_a_chat_is_told_what_came_along() -> None:
    told: list[object] = []

    @task("manual", client_data=dict)
    async def manual(payload: chat_module.ChatTaskPayload, run: TaskRun) -> None:
        told.append((payload.body, payload.client_data, run.task, run.run_id == payload.run_id, run.attempt))
        await chat_module.pipe("fine")

    with TestChat(manual) as chat:
        assert chat.send("1", body={"systemPrompt": "pirate"}, client_data={"user": "ada"}).text == "fine"
    assert told == [({"systemPrompt": "pirate"}, {"user": "ada"}, "manual", True, 1)]


def test_everything_by_hand() -> None:
    names = PAGE.run("raw")
    with TestChat(names["my_chat"]) as chat:
        chat.model.script("one", says("tw") + pauses() + says("o"), "three", "four", "four again")
        chat.preload()
        assert chat.model.requests == []
        run = chat.session.run_id
        assert chat.send("1").text == "one"
        stopped = chat.send("2", wait=False)
        chat.wait_paused()
        chat.stop()
        assert (stopped.outcome, stopped.text) == ("stopped", "tw")
        assert names["rows"][chat.chat_id][-1]["parts"][-1]["state"] == "done"
        assert chat.send("3").text == "three"
        assert chat.session.run_id == run, "one run, one call"
        chat.restart()
        chat.send("4")
        assert chat.regenerate().text == "four again"
        told = ["1", "one", "2", "tw", "3", "three", "4", "four again"]
        assert texts(names["rows"][chat.chat_id]) == texts(chat.history) == told


def test_a_crash_in_mid_turn_starts_the_function_anew() -> None:
    names = PAGE.run("raw")
    with TestChat(names["my_chat"]) as chat:
        chat.model.script("one", says("half") + pauses(), "whole")
        chat.send("1")
        answer = chat.send("2", wait=False)
        chat.wait_paused()
        chat.crash()
        chat.recover()
        assert answer.text == "whole"
        assert texts(names["rows"][chat.chat_id]) == ["1", "one", "2", "whole"]


def test_the_accumulator(capsys: pytest.CaptureFixture[str]) -> None:
    with TestChat(PAGE.run("accumulator")["accumulating"]) as chat:
        chat.model.script("one", "two")
        chat.send("1")
        chat.send("2")
    assert capsys.readouterr().out.splitlines() == [
        "['user', 'assistant']",
        "['user', 'assistant', 'user', 'assistant']",
    ]
