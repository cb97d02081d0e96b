"""The raw side of a WebSocket."""

from __future__ import annotations

import socket as sockets
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import TextMessage

from chatagent.flask.websocket.wire import MAX_INPUT, SafeSocket, text_frame
from tests.flask.talk import until


@given(st.lists(st.integers(0, 300) | st.sampled_from([125, 126, 127, 65535, 65536, 70_000]), min_size=1, max_size=5))
def test_frames_are_read_back_by_another_implementation(sizes: list[int]) -> None:
    texts = ["é" * (size // 2) + "x" * (size % 2) for size in sizes]
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(b"".join(text_frame(text.encode()) for text in texts))
    read, part = [], ""
    for event in client.events():
        assert isinstance(event, TextMessage)
        part += event.data
        if event.message_finished:
            read.append(part)
            part = ""
    assert read == texts


@pytest.fixture
def pair() -> Iterator[tuple[sockets.socket, sockets.socket]]:
    ours, theirs = sockets.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


class _Stingy:
    """A socket whose `send` sends little, as gevent's does for a slow reader."""

    def __init__(self, sock: sockets.socket) -> None:
        self._sock = sock

    def send(self, data: bytes) -> int:
        return self._sock.send(data[:7])

    def __getattr__(self, name: str) -> object:
        return getattr(self._sock, name)


def test_send_sends_all_of_it(pair: tuple[sockets.socket, sockets.socket]) -> None:
    ours, theirs = pair
    safe = SafeSocket(_Stingy(ours), lambda: 0, patience_s=5)  # type: ignore[arg-type]
    assert safe.send(b"x" * 1000) == 1000
    assert len(theirs.recv(2000, sockets.MSG_WAITALL | sockets.MSG_DONTWAIT)) == 1000


def test_two_senders_do_not_mix(pair: tuple[sockets.socket, sockets.socket]) -> None:
    ours, theirs = pair
    safe = SafeSocket(ours, lambda: 0, patience_s=10)
    size, rounds = 300_000, 5
    senders = [
        threading.Thread(target=lambda letter=letter: [safe.send(letter * size) for _ in range(rounds)])
        for letter in (b"a", b"b")
    ]
    for sender in senders:
        sender.start()
    for _ in range(2 * rounds):
        block = bytearray()
        while len(block) < size:
            block += theirs.recv(size - len(block))
        assert len(set(block)) == 1
    for sender in senders:
        sender.join()


def test_who_cannot_send_in_time_gets_an_error(pair: tuple[sockets.socket, sockets.socket]) -> None:
    ours, _ = pair
    safe = SafeSocket(ours, lambda: 0, patience_s=0.1)

    def send_much() -> None:
        with pytest.raises(OSError):
            safe.send(b"x" * 10_000_000)

    stuck = threading.Thread(target=send_much)
    stuck.start()
    until(lambda: safe.busy)
    with pytest.raises(TimeoutError):
        safe.send(b"ping")
    safe.abort()
    stuck.join(5)
    assert not stuck.is_alive()


def test_reading_waits_while_input_piles_up(pair: tuple[sockets.socket, sockets.socket]) -> None:
    ours, theirs = pair
    waiting = [0] * MAX_INPUT
    safe = SafeSocket(ours, lambda: len(waiting), patience_s=5)
    theirs.sendall(b"hello")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(safe.recv(100)))
    reader.start()
    reader.join(0.05)
    assert read == []
    waiting.pop()
    safe.made_room()
    reader.join(5)
    assert read == [b"hello"]
