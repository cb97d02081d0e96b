"""`docs/guide/tasks.md`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chatagent.errors import BadRequest, ConfigError, TaskFailed
from chatagent.testing import TestChat
from tests.guide.page import Page

PAGE = Page("tasks")


def test_every_block_is_run() -> None:
    PAGE.assert_every_block_is_run(__file__)


def test_an_agent_waits_for_a_task() -> None:
    names = PAGE.run("task")
    write_invoice, Order = names["write_invoice"], names["Order"]
    assert asyncio.run(write_invoice(Order(id="o", euros=1))).text == "1.00 EUR"
    assert (write_invoice.options.max_attempts, write_invoice.options.concurrency_limit) == (3, 10)
    with pytest.raises(BadRequest, match=r"payload\.euros"):
        write_invoice.new_run({"id": "o", "euros": "many"})
    with pytest.raises(ConfigError, match="Tasks"):
        asyncio.run(write_invoice.trigger(Order(id="o", euros=1)))
    with TestChat(names["billing"], serve=[write_invoice]) as chat:
        assert chat.send("hi").text == "7.00 EUR"


def test_a_task_waits_for_many_others() -> None:
    names = PAGE.run("fan-out")
    with TestChat(PAGE.run("task")["billing"], serve=[names["square"], names["sum_of_squares"]]) as chat:
        assert chat.run(names["sum_of_squares"], 30).unwrap() == sum(n * n for n in range(30))


def test_a_key_finds_the_run_of_before_the_crash() -> None:
    names = PAGE.run("key")
    with TestChat(names["shop"], serve=[names["charge"]]) as chat:
        chat.pause_at("commit")
        answer = chat.send("buy", wait=False)
        chat.wait_paused()
        chat.crash()
        chat.recover()
        assert answer.text == "charged 5"
        runs = {key for key in chat._world.gateway.client.scan_iter("*:session") if b"session_" in key}
        assert len(runs) == 2, "the chat, and one run"


def test_what_fails_is_tried_again_unless_it_says_that_it_is_hopeless() -> None:
    import_file = PAGE.run("retries")["import_file"]
    with TestChat(PAGE.run("task")["billing"], serve=[import_file]) as chat:
        assert chat.run(import_file, "https://x").output == "imported at attempt 3"
        hopeless = chat.run(import_file, "ftp://x")
        assert hopeless.error == {"name": "AbortTaskRun", "message": "only https"}
        with pytest.raises(TaskFailed, match="only https"):
            hopeless.unwrap()


def test_a_web_process_starts_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = PAGE.run("task")
    with TestChat(names["billing"], serve=[names["write_invoice"]]) as chat:
        world = chat._world

        def dispatch(agent: str, session_id: str, queue: str) -> None:
            world.send(agent, session_id)

        PAGE.run("outside", backend=world.backend, dispatch=dispatch, **names)
    assert capsys.readouterr().out == "5.00 EUR\n"


def test_the_stream_of_a_run() -> None:
    names = PAGE.run("stream")
    with TestChat(names["reader"], serve=[names["count"]]) as chat:
        assert chat.send("hi").text == "0,1,2"
