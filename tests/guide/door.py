"""A gateway for a `TestChat`: real HTTP and WebSocket on loopback, in the process of the test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from flask import Flask
from werkzeug.serving import make_server

from chatagent.flask import mount
from chatagent.testing import TestChat

SECRET = "guide-secret-" + "0" * 32


@dataclass(frozen=True, slots=True)
class Door:
    """Where it listens."""

    url: str
    token: str = SECRET

    @property
    def ws_url(self) -> str:
        """Its WebSocket, for a server."""
        return f"ws{self.url.removeprefix('http')}/api/chat/ws"

    def name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let `sessions` and `auth` find it, as settings do."""
        monkeypatch.setenv("CHATAGENT_URL", self.url)
        monkeypatch.setenv("CHATAGENT_SECRET_KEY", self.token)


@contextmanager
def door(chat: TestChat) -> Iterator[Door]:
    """Open a gateway to the world of a chat."""
    world = chat._world
    app = Flask("door")

    def dispatch(agent: str, session_id: str, queue: str) -> None:
        world.send(agent, session_id)

    mounted = mount(app, backend=world.backend, dispatch=dispatch, secret_key=SECRET)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, name="door", daemon=True)
    thread.start()
    try:
        yield Door(f"http://127.0.0.1:{server.port}")
    finally:
        mounted.depart()
        server.shutdown()
        thread.join()
        server.server_close()
        mounted.gateway.backend.close()
