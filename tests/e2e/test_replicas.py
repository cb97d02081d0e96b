"""Two gateways and two workers on one Redis: any of them serves any chat, without sticky sessions."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from chatagent.ui import fold_message
from tests.e2e.balancer import Balancer
from tests.e2e.client import CLIENTS, Client, Clients
from tests.e2e.fleet import Fleet
from tests.e2e.page import assert_same, reload_page
from tests.e2e.script import hold, message, say, words
from tests.e2e.server import Server, Started, text_of
from tests.provider import FakeProvider
from tests.stack import Gateway

pytestmark = pytest.mark.e2e


def test_a_page_goes_on_at_another_gateway_when_its_own_is_killed(
    clients: Clients, fleet: Fleet, server: Server, gateways: list[Gateway], tmp_path: Path
) -> None:
    # Given pages of all clients in mid-answer, behind a balancer that sends them to one gateway
    doomed = fleet.gateway()
    with Balancer(doomed.url) as balancer:
        chats = []
        for client in CLIENTS:
            started = server.start("echo")
            chat = clients.open(client, balancer.url, started.chat_id, token=started.token)
            chat.send(message(say(3), hold(tmp_path / "gate"), say(3)))
            chat.wait_text(words(3))
            chats.append(chat)
        # When that gateway is killed and the pages become visible again
        doomed.process.kill()
        balancer.target = gateways[1].url
        for chat in chats:
            chat.wait_settled()
            assert chat.finishes[-1]["isDisconnect"]
            chat.revive()
            chat.wait_text(words(3) * 2)
        (tmp_path / "gate").touch()
        # Then they show the whole answer
        for chat in chats:
            chat.wait_settled()
            stored = server.wait_idle(chat.chat_id)
            assert text_of(stored[-1]) == words(6)
            if not chat.client.startswith("http5"):  # it repeats parts until it is reloaded: see test_resume
                assert_same(chat, server)
            chat.close()


def test_a_chat_is_stopped_through_a_gateway_that_did_not_start_it(
    client: Client, clients: Clients, server: Server, other_server: Server, gate: Path
) -> None:
    started = server.start("echo")
    chat = clients.open(client, server.url, started.chat_id, token=started.token)
    chat.send(message(say(3), hold(gate)))
    chat.wait_text(words(3))

    assert other_server.stop(chat.chat_id)
    chat.wait_settled()

    assert text_of(assert_same(chat, other_server)[-1]) == words(3)


def test_a_turn_is_watched_through_every_gateway_and_stopped_through_another(
    clients: Clients, server: Server, other_server: Server, gate: Path
) -> None:
    started = server.start("echo")
    chat = clients.open("ws7", server.url, started.chat_id, token=started.token)
    with ExitStack() as stack:
        watchers = [stack.enter_context(_watch(each.url, started)) for each in (server, other_server)]
        chat.send(message(say(3), hold(gate)))
        chat.wait_text(words(3))
        assert other_server.stop(chat.chat_id)
        chat.wait_settled()
        seen = [_until_complete(watcher) for watcher in watchers]
    stored = server.wait_idle(chat.chat_id)
    assert seen[0] == seen[1]
    numbers = [frame["seq"] for frame in seen[0]]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "every record, in order, once"
    assert fold_message([frame["chunk"] for frame in seen[0] if "chunk" in frame]) == stored[-1]
    assert seen[0][-1]["control"]["outcome"] == "stopped"


@contextmanager
def _watch(url: str, started: Started) -> Iterator[ClientConnection]:
    """A socket that follows the chat from its beginning."""
    address = f"{url.replace('http', 'ws', 1)}/api/chat/ws?token={started.token}"
    with connect(address, compression=None) as connection:
        connection.send(json.dumps({"type": "watch", "requestId": "w", "id": started.chat_id, "cursor": -1}))
        yield connection


def _until_complete(connection: ClientConnection) -> list[dict[str, Any]]:
    """The records up to the end of the turn, without what differs from socket to socket."""
    found: list[dict[str, Any]] = []
    while not found or found[-1].get("control", {}).get("kind") != "turn-complete":
        frame = json.loads(connection.recv(timeout=60))
        if frame["type"] == "record":
            found.append(frame)
    return found


def test_the_turns_of_a_chat_may_come_through_both_gateways(
    client: Client, clients: Clients, server: Server, other_server: Server
) -> None:
    started = server.start("echo")
    chat = clients.open(client, server.url, started.chat_id, token=started.token)
    chat.ask("one")
    chat = reload_page(clients, chat, other_server)
    chat.wait_settled()
    chat.ask("two")
    chat = reload_page(clients, chat, server)
    chat.wait_settled()
    chat.ask("three")

    stored = assert_same(chat, other_server)
    assert [text_of(each) for each in stored[1::2]] == [f"You said: {each}" for each in ("one", "two", "three")]


def test_the_model_is_given_the_whole_conversation(
    clients: Clients, server: Server, other_server: Server, provider: FakeProvider
) -> None:
    started = server.start("model")
    chat = clients.open("ws7", server.url, started.chat_id, token=started.token)
    names = [f"turn {secrets.token_hex(4)}" for _ in range(3)]
    for name in names:
        chat.ask(name)

    request = next(each for each in reversed(provider.requests) if names[-1] in json.dumps(each.body))
    said = [(each["role"], each["content"]) for each in request.body["messages"]]
    expected = [entry for name in names for entry in (("user", name), ("assistant", f"You said: {name}"))][:-1]
    assert said == expected
