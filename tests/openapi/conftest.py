"""A gateway whose document is read, and a worker that answers every turn at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from chatagent.flask import mount
from chatagent.redis import RedisBackend
from tests.flask.conftest import gateway, new_gateway, shared_gateway, worker
from tests.flask.gateway_app import SECRET
from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker, Turn, say
from tests.flask.talk import body, until
from tests.redis_server import RedisServer

__all__ = ["gateway", "new_gateway", "shared_gateway", "worker"]

PREFIX = "/chats"


@pytest.fixture
def app() -> Flask:
    """An app with every door, under a prefix; no Redis answers it."""
    app = Flask(__name__)
    backend = RedisBackend("redis://127.0.0.1:1/0")
    mount(app, backend=backend, dispatch=lambda *task: None, secret_key=SECRET, url_prefix=PREFIX)
    return app


@pytest.fixture(scope="module")
def quick_worker(redis_server: RedisServer) -> Iterator[ScriptedWorker]:
    """A worker on an emptied Redis that answers every turn at once."""
    redis_server.flush()
    worker = ScriptedWorker(redis_server.url)
    worker.serve(answer, threads=2)
    yield worker
    worker.close()


@pytest.fixture(scope="module")
def announce(quick_worker: ScriptedWorker) -> Callable[[], None]:
    """Says that the worker lives, which holds for some seconds."""
    return lambda: quick_worker.announce("echo", "other")


@pytest.fixture(scope="module")
def busy_gateway(shared_gateway: GatewayProcess, announce: Callable[[], None]) -> GatewayProcess:
    """A gateway with that worker; the chat `open` has a message, `closed` is closed."""
    announce()
    with shared_gateway.http(SECRET) as http:
        for chat_id in ("open", "closed"):
            assert http.post("/api/chat", json=body(chat_id, "hi")).status_code == 200
        until(lambda: http.get("/api/v1/sessions/closed").json()["status"] == "idle")
        assert http.post("/api/v1/sessions/closed/close").status_code == 200
    return shared_gateway


def answer(turn: Turn) -> None:
    """Say something short."""
    turn.commit(*say("so it is", message_id=f"answer-{turn.record.seq}"))


@pytest.fixture(scope="module")
def document(busy_gateway: GatewayProcess) -> dict[str, Any]:
    """The document that this gateway serves."""
    with busy_gateway.http() as http:
        found: dict[str, Any] = http.get("/openapi.json").json()
    return found
