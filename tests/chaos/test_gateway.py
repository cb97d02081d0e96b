"""Gateways are killed and replaced in mid-answer: pages go on at the next one."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.e2e.balancer import Balancer
from tests.e2e.client import Clients
from tests.e2e.fleet import Fleet
from tests.e2e.page import assert_same
from tests.e2e.script import hold, message, say, words
from tests.e2e.server import Server, text_of
from tests.stack import Gateway, wait_until

pytestmark = pytest.mark.chaos


def test_a_gateway_that_is_replaced_sends_its_pages_on(
    fleet: Fleet, clients: Clients, server: Server, gateway: Gateway, gate: Path
) -> None:
    # Given pages in mid-answer on a gateway
    fleet.staff(1)
    leaver = fleet.gateway()
    with Balancer(leaver.url) as balancer:
        started = [server.start("echo") for _ in range(2)]
        socket = clients.open("ws7", balancer.url, started[0].chat_id, token=started[0].token)
        stream = clients.open("http7", balancer.url, started[1].chat_id, token=started[1].token)
        for chat in (socket, stream):
            chat.send(message(say(3), hold(gate), say(3)))
            chat.wait_text(words(3))
        # When it is told to end, as a deploy does
        balancer.target = gateway.url
        leaver.process.send(signal.SIGTERM)
        # Then sockets go to the next gateway at once, and streams are read to their end
        socket.wait_settled()
        assert socket.finishes[-1]["isDisconnect"]
        socket.revive()
        socket.wait_text(words(3) * 2)
        gate.touch()
        for chat in (socket, stream):
            chat.wait_settled()
            assert chat.status == "ready"
            assert text_of(assert_same(chat, server)[-1]) == words(6)
            chat.close()
    wait_until(lambda: leaver.process.exit_code is not None, "the gateway has ended")
    assert leaver.process.exit_code == 0
