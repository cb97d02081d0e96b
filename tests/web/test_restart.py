"""What a restart of the gateway does to its connections: what is idle ends at once, what is answered ends in order."""

from __future__ import annotations

import signal
import socket as sockets
from contextlib import ExitStack

import pytest

from tests.flask.conftest import NewGateway, new_gateway, worker
from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker, Turn, echo, say
from tests.flask.talk import body, chunks_of, text_of, until

__all__ = ["new_gateway", "worker"]

#: Seconds that a gateway of these tests would wait for its connections, and within which it must not.
GRACE_S, SOON_S = 120, 60


@pytest.fixture
def gateway(new_gateway: NewGateway) -> GatewayProcess:
    return new_gateway(grace_s=GRACE_S)


def restart(gateway: GatewayProcess, number: signal.Signals) -> None:
    """Tell it to end, and wait until it takes no more connections."""
    gateway.signal(number)
    until(lambda: not accepts(gateway), "it stops listening")


def accepts(gateway: GatewayProcess) -> bool:
    try:
        sockets.create_connection(("127.0.0.1", gateway.port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    except ConnectionResetError:
        pass  # it waited to be accepted when the listener was closed
    return True


def test_connections_that_ask_nothing_hold_up_no_restart(gateway: GatewayProcess) -> None:
    with gateway.http(gateway.token()) as http, sockets.create_connection(("127.0.0.1", gateway.port)) as silent:
        assert http.get("/api/config").status_code == 200
        restart(gateway, signal.SIGTERM)
        assert gateway.process.wait(SOON_S) == 0
        assert silent.recv(1) == b"", "closed in order, not reset"
    assert "Error" not in gateway.log() and "cut off" not in gateway.log()


def test_an_answer_under_way_is_told_to_its_end(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    chunks = say("one two three")
    with gateway.http(gateway.token()) as http:
        with http.stream("POST", "/api/chat", json=body("c1", "hi")) as response:
            turn = worker.claim()
            turn.append(*chunks[:4])
            restart(gateway, signal.SIGTERM)
            turn.append(chunks[4])
            turn.commit(*chunks[5:])
            response.read()
        assert text_of(chunks_of(response)) == "one two three"
        assert gateway.process.wait(SOON_S) == 0


def test_a_stream_without_an_end_ends_for_its_reader_to_come_back(
    gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    worker.serve(echo)
    with gateway.http(gateway.token()) as http, ExitStack() as opened:
        assert http.post("/api/chat", json=body("c1", "hi")).status_code == 200
        followed, feed = (
            opened.enter_context(http.stream("GET", path, headers={"Timeout-Seconds": "600"}))
            for path in ("/realtime/v1/sessions/c1/out", "/api/chats/feed?all=true")
        )
        restart(gateway, signal.SIGTERM)
        assert followed.read().endswith(b"data: [DONE]\n\n")
        assert feed.read().endswith(b"\n\n")
        assert gateway.process.wait(SOON_S) == 0


def test_a_new_process_takes_over_from_the_old(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    def slow(turn: Turn) -> None:
        turn.append(*say("x")[:4])
        before = gateway.worker_pids()
        gateway.signal(signal.SIGHUP)
        until(lambda: gateway.worker_pids() - before, "the new process")
        turn.commit(*say("x")[4:])

    worker.serve(slow)
    with gateway.http(gateway.token()) as http:
        old = gateway.worker_pids()
        assert text_of(chunks_of(http.post("/api/chat", json=body("c1", "hi")))) == "x"
        until(lambda: not old & gateway.worker_pids(), "the old process ends")
        assert http.get("/api/config").status_code == 200
