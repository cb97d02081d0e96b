"""A way to a gateway that is cut as a network cuts: behind the n-th record of a stream, once, in the middle of TCP."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

#: How many records a stream that is told so far holds behind each place where it may be cut: `[(records, place), …]`.
Count = Callable[[bytes], list[tuple[int, int]]]

_HEAD_END = b"\r\n\r\n"
_EVENT = re.compile(rb"data: ([^\n]*)\n\n")


def events(told: bytes) -> list[tuple[int, int]]:
    """Server-sent events, a chunk each."""
    head = _stream_start(told, b"text/event-stream")
    if head is None:
        return []
    ends = [found.end() for found in _EVENT.finditer(told, head)]
    return list(enumerate([head, *ends]))


def batches(told: bytes) -> list[tuple[int, int]]:
    """Server-sent events of several records each, of which those with a body are chunks."""
    head = _stream_start(told, b"text/event-stream")
    if head is None:
        return []
    places, count = [(0, head)], 0
    for found in _EVENT.finditer(told, head):
        count += sum(1 for record in json.loads(found[1])["records"] if record["body"])
        places.append((count, found.end()))
    return places


def frames(told: bytes) -> list[tuple[int, int]]:
    """Frames of a WebSocket, of which those that name a `chunk` or a `record` count; the first says that it starts."""
    at = _stream_start(told, b"101 Switching Protocols")
    places: list[tuple[int, int]] = []
    count = 0
    while at is not None and (frame := _frame(told, at)) is not None:
        payload, at = frame
        count += isinstance(payload, dict) and payload["type"] in ("chunk", "record")
        places.append((count, at))
    return places


class Cutter:
    """A TCP proxy. The first stream through it is cut behind its record number `records`; later ones go through."""

    def __init__(self, gateway_url: str, records: int, count: Count) -> None:
        place = urlsplit(gateway_url)
        self._gateway = (place.hostname, place.port)
        self._records = records
        self._count = count
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.cut = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections; those that are open end with their ends."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._gateway)
                threading.Thread(target=self._up, args=(client, server), daemon=True).start()
                threading.Thread(target=self._down, args=(client, server), daemon=True).start()

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
                place = None if self.cut.is_set() else self._place(told)
                if place is not None:
                    self.cut.set()  # before the reader has seen what goes through, and looks whether it was cut
                client.sendall(told[given:place])
                given = len(told)
                if place is not None:
                    break
        _end(client)
        _end(server)

    def _place(self, told: bytes) -> int | None:
        """Where to cut: behind the last record that goes through."""
        return next((place for count, place in self._count(told) if count >= self._records), None)


def _stream_start(told: bytes, mark: bytes) -> int | None:
    """Behind the head of the last answer in a connection, when it is a stream; None before."""
    at = told.rfind(mark)
    end = told.find(_HEAD_END, at)
    return None if at < 0 or end < 0 else end + len(_HEAD_END)


def _frame(told: bytes, at: int) -> tuple[Any, int] | None:
    """The JSON of the frame at a place and where it ends; None when it is not all there. RFC 6455 §5.2."""
    if len(told) < at + 2:
        return None
    size, begin = told[at + 1] & 127, at + 2
    if size >= 126:
        width = 2 if size == 126 else 8
        size, begin = int.from_bytes(told[begin : begin + width]), begin + width
    if len(told) < begin + size:
        return None
    text = told[at] & 15 == 1
    return json.loads(told[begin : begin + size]) if text else None, begin + size


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
