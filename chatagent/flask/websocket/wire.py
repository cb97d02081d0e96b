"""The raw side of a WebSocket: server frames (RFC 6455 §5.2) and a socket that several threads may use.

simple-websocket calls `sock.send()` once and without a lock. Under gevent that sends a part of a frame when the peer
reads slowly, and two writers mix their bytes: both corrupt the stream.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress

#: First byte of a whole text message.
_TEXT = 0x81
#: Bytes of answers that the kernel may hold for a slow reader; the rest waits where it can be forgotten.
SEND_BUFFER_BYTES = 256 * 1024
#: Messages of a client that wait for us; beyond it we stop reading until some are done.
MAX_INPUT = 16
#: Seconds that a peer has to close after us.
_LINGER_S = 1.0


def text_frame(payload: bytes) -> bytes:
    """One whole, unmasked text message."""
    size = len(payload)
    if size < 126:
        return bytes((_TEXT, size)) + payload
    if size < 65536:
        return struct.pack("!BBH", _TEXT, 126, size) + payload
    return struct.pack("!BBQ", _TEXT, 127, size) + payload


class SafeSocket:
    """A socket whose `send` sends all of it, one caller at a time, and whose `recv` waits while input piles up.

    Who cannot have the socket to itself within `patience_s` gets an error: the peer has stopped reading.
    """

    def __init__(self, sock: socket.socket, waiting: Callable[[], int], *, patience_s: float) -> None:
        self._sock = sock
        self._waiting = waiting
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._room = threading.Event()
        self._cut = False
        with suppress(OSError):  # not every kind of socket has one
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def busy(self) -> bool:
        """Somebody is sending now."""
        return self._lock.locked()

    def send(self, data: bytes) -> int:
        """Send all of `data`. Raises: OSError, also when the peer does not read."""
        if not self._lock.acquire(timeout=self._patience_s):
            raise TimeoutError("the peer does not read")
        try:
            self._sock.sendall(data)
        finally:
            self._lock.release()
        return len(data)

    def recv(self, size: int) -> bytes:
        """Read; waits while the messages that came before are not done."""
        while self._waiting() >= MAX_INPUT and not self._cut:
            self._room.clear()
            if self._waiting() >= MAX_INPUT:
                self._room.wait(self._patience_s)
        return self._sock.recv(size)

    def made_room(self) -> None:
        """A waiting message was taken."""
        self._room.set()

    def abort(self) -> None:
        """Cut the connection, also under threads that wait on it."""
        self._cut = True
        self._room.set()
        with suppress(OSError):  # it may be cut already
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close from our side, once the peer has had time to read our last words.

        To close with input unread makes the kernel reset the connection, and the peer loses the close frame.
        """
        with suppress(OSError):  # the peer may be gone
            self._sock.shutdown(socket.SHUT_WR)
            self._sock.settimeout(_LINGER_S)
            deadline = time.monotonic() + _LINGER_S
            while self._sock.recv(65536) and time.monotonic() < deadline:
                pass
        self._sock.close()

    def fileno(self) -> int:
        """For selectors."""
        return self._sock.fileno()
