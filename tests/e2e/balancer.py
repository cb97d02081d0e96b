"""A load balancer for tests: one address in front of gateways that come and go."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit


class Balancer:
    """Forwards connections to the gateway that `target` names; those that are open stay where they are."""

    def __init__(self, target: str) -> None:
        self.target = target
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, name="balancer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # A blocked `accept` returns when its socket is shut down, not when it is closed.
        self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed: the test is over
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        place = urlsplit(self.target)
        with client, suppress(OSError), socket.create_connection((place.hostname, place.port)) as gateway:
            back = threading.Thread(target=_pump, args=(gateway, client), daemon=True)
            back.start()
            _pump(client, gateway)
            back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Copy until either side ends, then end both."""
    with suppress(OSError):  # cut by the other side
        while data := source.recv(65536):
            sink.sendall(data)
    for each in (source, sink):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
