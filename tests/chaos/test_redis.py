"""Redis goes away and comes back, or its connections are cut, while turns run: nothing ends, nothing is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.client import CLIENTS, FLUENT, Clients
from tests.e2e.fleet import Fleet
from tests.e2e.page import assert_same, open_page, reload_page
from tests.e2e.script import hold, message, note, say, words
from tests.e2e.server import Server, text_of
from tests.stack import SECRET, Gateway, wait_until

pytestmark = pytest.mark.chaos

RIGHTS = {"Authorization": f"Bearer {SECRET}"}


def test_turns_outlive_a_restart_of_redis(
    fleet: Fleet, clients: Clients, server: Server, gateway: Gateway, tmp_path: Path
) -> None:
    def restart() -> None:
        seen = [worker.log().count("Redis is away") for worker in fleet.workers]
        fleet.redis.stop()
        for worker, before in zip(fleet.workers, seen, strict=True):
            wait_until(lambda: worker.log().count("Redis is away") > before, "the worker noticed")  # noqa: B023
        refused = httpx.post(f"{gateway.url}/api/chat", json=_body("lost"), headers=RIGHTS, trust_env=False)
        assert refused.status_code == 503, refused.text
        fleet.redis.start()

    _assert_survived(fleet, clients, server, gateway, tmp_path, restart)


def test_a_message_sent_just_before_a_restart_is_answered(
    fleet: Fleet, clients: Clients, server: Server, gateway: Gateway, tmp_path: Path
) -> None:
    # Given turns whose messages were taken, but whose tasks perhaps were not
    fleet.staff(2)
    diary = tmp_path / "diary"
    chats = [open_page(clients, "ws7", server) for _ in range(8)]
    for number, chat in enumerate(chats):
        chat.send(message(note(diary, f"{number}"), say(3)))
    wait_until(lambda: all(len(server.messages(chat.chat_id)) for chat in chats), "all are stored")
    # When Redis is restarted
    fleet.redis.stop()
    fleet.redis.start()
    # Then each is answered
    for chat in chats:
        stored = server.wait_idle(chat.chat_id)
        assert [text_of(each) for each in stored[1:]] == [words(3)]
        chat.wait_settled()
        assert_same(chat, server)


@pytest.mark.parametrize("kind", ["normal", "pubsub"])
def test_turns_outlive_cut_connections(
    fleet: Fleet, clients: Clients, server: Server, gateway: Gateway, tmp_path: Path, kind: str
) -> None:
    def cut() -> None:
        for _ in range(5):
            _cut(fleet, kind)

    _assert_survived(fleet, clients, server, gateway, tmp_path, cut)


def test_a_stop_works_after_the_doorbells_were_cut(fleet: Fleet, clients: Clients, server: Server, gate: Path) -> None:
    fleet.staff(2)
    chat = open_page(clients, "ws7", server)
    chat.send(message(say(3), hold(gate)))
    chat.wait_text(words(3))

    _cut(fleet, "pubsub")
    assert server.stop(chat.chat_id)
    chat.wait_settled()

    assert text_of(assert_same(chat, server)[-1]) == words(3)


def test_what_was_acknowledged_is_answered_once(fleet: Fleet, server: Server, gateway: Gateway, tmp_path: Path) -> None:
    # Given people who send one message after the other
    fleet.staff(2)
    chats = [server.start("echo").chat_id for _ in range(4)]
    disturbed = threading.Event()

    def chat(chat_id: str) -> list[str]:
        """Send until the disturbance is over, and a few more; gives what was acknowledged."""
        taken, number, more = [], 0, 5
        while more:
            more -= disturbed.is_set()
            number += 1
            if _send(gateway.url, chat_id, f"{number}"):
                taken.append(f"{number}")
        return taken

    with ThreadPoolExecutor(len(chats)) as people:
        sending = [people.submit(chat, chat_id) for chat_id in chats]
        # When connections are cut again and again, and Redis is restarted
        try:
            for _ in range(6):
                _cut(fleet, "normal")
                _cut(fleet, "pubsub")
            fleet.redis.stop()
            fleet.redis.start()
            for _ in range(6):
                _cut(fleet, "normal")
        finally:
            disturbed.set()
        acknowledged = [each.result() for each in sending]
    # Then each message that was taken is stored once, answered once, in order
    for chat_id, taken in zip(chats, acknowledged, strict=True):
        stored = server.wait_idle(chat_id)
        asked = [text_of(each) for each in stored[::2]]
        assert [each for each in asked if each in taken] == taken
        assert asked == sorted(set(asked), key=int)
        assert [text_of(each) for each in stored[1::2]] == [f"You said: {each}" for each in asked]
        assert len(taken) >= 5


def _send(url: str, chat_id: str, number: str) -> bool:
    """Send a message and read its answer; whether it was taken."""
    message = {"id": f"m{number}", "role": "user", "parts": [{"type": "text", "text": number}]}
    body = {"id": chat_id, "messages": [message]}
    try:
        with httpx.stream("POST", f"{url}/api/chat", json=body, headers=RIGHTS, timeout=60, trust_env=False) as answer:
            if answer.status_code == 200:
                answer.read()
            return answer.status_code == 200
    except httpx.HTTPError:
        return False


def _cut(fleet: Fleet, kind: str) -> None:
    """Cut connections of this kind, once there are any."""
    wait_until(lambda: _connected(fleet, kind), "somebody is connected")
    with fleet.redis.client() as client:
        client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


def _assert_survived(
    fleet: Fleet, clients: Clients, server: Server, gateway: Gateway, folder: Path, disturb: Callable[[], None]
) -> None:
    """Turns that run while Redis is disturbed are answered whole and once, and all processes live."""
    # Given turns of every client in mid-answer
    fleet.staff(2)
    pids = [worker.pid for worker in fleet.workers]
    gate = folder / "gate"
    chats = [open_page(clients, client, server) for client in CLIENTS]
    for chat in chats:
        chat.ask("before")
        chat.send(message(say(3), hold(gate), say(3)))
    for chat in chats:
        chat.wait_text(words(3))
    # When Redis is disturbed
    disturb()
    gate.touch()
    # Then they end as they would have
    for chat in chats:
        stored = server.wait_idle(chat.chat_id)
        assert [text_of(each) for each in stored[1::2]] == ["You said: before", words(6)]
        chat.wait_settled()
        assert (chat.status, chat.errors) == ("ready", []), chat
    # And all goes on
    for chat in chats:
        if chat.client not in FLUENT:
            # The outage may have outlasted a lease: then the answer was begun again, which they show until a reload.
            chat = reload_page(clients, chat, server)
            chat.wait_settled()
        assert_same(chat, server)
        chat.ask("after")
        assert text_of(assert_same(chat, server)[-1]) == "You said: after"
        chat.close()
    wait_until(gateway.healthy, "the gateway is healthy")
    assert [(worker.pid, worker.exit_code) for worker in fleet.workers] == [(pid, None) for pid in pids]
    assert gateway.process.exit_code is None


def _connected(fleet: Fleet, kind: str) -> bool:
    """Whether somebody else is connected in this way."""
    with fleet.redis.client() as client:
        found: Any = client.execute_command("CLIENT", "LIST", "TYPE", kind)
        own: Any = client.client_id()
    return any(f"id={own} " not in line for line in found.decode().splitlines())


def _body(chat_id: str) -> dict[str, Any]:
    message = {"id": "m", "role": "user", "parts": [{"type": "text", "text": "hello"}]}
    return {"id": chat_id, "messages": [message], "agent": "echo"}
