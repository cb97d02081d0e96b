"""Celery messages that come twice, too late, for nobody, or that are no messages: none of them does harm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from chatagent.celery import Enqueue, make_producer
from chatagent.redis.connection import broker_url
from chatagent.settings import Settings
from tests.e2e.client import Clients
from tests.e2e.fleet import Fleet
from tests.e2e.page import assert_same, open_page
from tests.e2e.script import hold, message, note, say, words
from tests.e2e.server import Server, text_of
from tests.stack import wait_until

pytestmark = pytest.mark.chaos

QUEUE = Settings.model_fields["queue"].default


@pytest.fixture
def producer(fleet: Fleet) -> Iterator[Celery]:
    """Sends tasks to the workers of the fleet."""
    app = make_producer(broker_url(fleet.redis.url), key_prefix=f"{fleet.stack.prefix}:mq:")
    yield app
    app.close()


def test_a_task_that_comes_five_times_is_run_once(
    fleet: Fleet, clients: Clients, server: Server, producer: Celery, gate: Path, tmp_path: Path
) -> None:
    fleet.staff(2)
    diary = tmp_path / "diary"
    chat = open_page(clients, "ws7", server)
    chat.send(message(note(diary, "begun"), say(2), hold(gate), say(2)))
    chat.wait_text(words(2))

    for _ in range(5):
        Enqueue(producer)("echo", _session(server, chat.chat_id), QUEUE)
    _wait_taken(fleet)
    gate.touch()
    chat.wait_settled()

    assert text_of(assert_same(chat, server)[-1]) == words(4)
    assert diary.read_text() == "begun\n"


def test_tasks_for_chats_with_nothing_to_do_change_nothing(
    fleet: Fleet, clients: Clients, server: Server, producer: Celery
) -> None:
    fleet.staff(2)
    chat = open_page(clients, "ws7", server)
    chat.ask("one")
    before = server.read(chat.chat_id)

    for session_id in (_session(server, chat.chat_id), "session_of-nobody", "", "no session at all"):
        for agent in ("echo", "model"):
            Enqueue(producer)(agent, session_id, QUEUE)
    _wait_taken(fleet)

    assert server.read(chat.chat_id) == before
    chat.ask("two")
    assert [text_of(each) for each in assert_same(chat, server)[1::2]] == ["You said: one", "You said: two"]


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((1,), {}), ((None,), {}), (({"a": 1},), {}), (("a", "b"), {}), (("a",), {"b": 1})],
    ids=repr,
)
def test_tasks_with_senseless_arguments_do_no_harm(
    fleet: Fleet, clients: Clients, server: Server, producer: Celery, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    fleet.staff(2)
    producer.send_task("echo", args, kwargs, queue=QUEUE, retry=False)
    _wait_taken(fleet)
    _assert_serving(fleet, clients, server)


@pytest.mark.parametrize(
    "raw",
    [
        {"body": "%%%", "headers": {}, "properties": {}},
        {"body": "e30=", "content-type": "application/x-python-serialize", "headers": {}, "properties": {}},
        {"body": "bnVsbA==", "content-type": "application/json", "headers": {"task": "echo"}, "properties": {}},
    ],
    ids=["not base64", "pickled", "null"],
)
def test_messages_that_cannot_be_read_do_no_harm(
    fleet: Fleet, clients: Clients, server: Server, raw: dict[str, Any]
) -> None:
    fleet.staff(2)
    with fleet.redis.client() as client:
        for _ in range(4):
            client.lpush(_queue(fleet), json.dumps(raw))
    _wait_taken(fleet)
    _assert_serving(fleet, clients, server)


def test_tasks_of_an_unknown_agent_do_no_harm(fleet: Fleet, clients: Clients, server: Server, producer: Celery) -> None:
    fleet.staff(2)
    producer.send_task("nobody", ("session_x",), queue=QUEUE, retry=False)
    _wait_taken(fleet)
    _assert_serving(fleet, clients, server)


def _assert_serving(fleet: Fleet, clients: Clients, server: Server) -> None:
    """All workers live, and both answer: enough turns at once for each to get some."""
    chats = [open_page(clients, "ws7", server) for _ in range(6)]
    for chat in chats:
        chat.send("hello")
    for chat in chats:
        chat.wait_settled()
        assert text_of(assert_same(chat, server)[-1]) == "You said: hello"
        chat.close()
    assert [worker.exit_code for worker in fleet.workers] == [None, None]


def _session(server: Server, chat_id: str) -> str:
    session_id: str = server.read(chat_id)["id"]
    return session_id


def _queue(fleet: Fleet) -> str:
    """Where Celery keeps tasks that nobody took yet."""
    return f"{fleet.stack.prefix}:mq:{QUEUE}"


def _wait_taken(fleet: Fleet) -> None:
    """Wait until workers have taken all that is in the queue."""
    with fleet.redis.client() as client:
        wait_until(lambda: client.llen(_queue(fleet)) == 0, "the queue is empty")
