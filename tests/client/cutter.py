"""A way to a gateway that is cut in the middle of a stream: after so many of its events, once."""

from __future__ import annotations

import re
import socket
import threading
from contextlib import suppress

_EVENT = re.compile(rb"data: [^\n]*\n\n")
_STREAM = b"text/event-stream"


class Cutter:
    """A TCP proxy. The first answer that is a stream is cut right behind its event number `events`."""

    def __init__(self, port: int, events: int) -> None:
        self._gateway = ("127.0.0.1", port)
        self._events = events
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        #: The cut was made; and: a stream was asked for after it.
        self.cut = threading.Event()
        self.back = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._gateway)
                self._open += [client, server]
                for work in (self._up, self._down):
                    self._threads.append(threading.Thread(target=work, args=(client, server), daemon=True))
                    self._threads[-1].start()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                server.sendall(data)
        _end(server)

    def _down(self, client: socket.socket, server: socket.socket) -> None:
        told, given = b"", 0
        with suppress(OSError):
            while data := server.recv(65536):
                told += data
                if _STREAM in told and self.cut.is_set():
                    self.back.set()
                elif _STREAM in told and (place := self._place(told)) is not None:
                    self.cut.set()  # before the reader has seen what goes through, and looks whether it was cut
                    client.sendall(told[given:place])
                    break
                client.sendall(told[given:])
                given = len(told)
        _end(client)
        _end(server)

    def _place(self, told: bytes) -> int | None:
        """Where to cut: behind the last event that goes through."""
        if not self._events:
            return told.index(b"\r\n\r\n", told.index(_STREAM)) + 4 if b"\r\n\r\n" in told else None
        ends = [found.end() for found in _EVENT.finditer(told)]
        return ends[self._events - 1] if len(ends) >= self._events else None

    def close(self) -> None:
        """End all connections."""
        _end(self._listener)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)
        for each in self._open:
            each.close()


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
