"""One subscriber connection for a whole process: doorbells of many outboxes, handed to their readers.

A doorbell is a hint. When the connection breaks it is made again and every reader is told that it may have missed
some, so that it reads the log. Runs on one thread (a greenlet under gevent), started by the first reader.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import redis

from chatagent.errors import StoreDown
from chatagent.record import Bell
from chatagent.redis.connection import COMMAND_TIMEOUT_S, connect_subscriber
from chatagent.redis.doorbell import parse_bell
from chatagent.redis.error import DROPPED

logger = logging.getLogger(__name__)

#: Seconds between two PINGs on the connection; without any answer for two and a half of them it counts as dead.
PING_S = 15.0
#: Seconds between two tries to connect, at most.
_MAX_BACKOFF_S = 1.0


class Reader(Protocol):
    """Who listens to a channel. Both are called on the subscriber's thread and must return at once."""

    def ring(self, bell: Bell) -> None:
        """A doorbell rang."""

    def lost(self) -> None:
        """Doorbells may have been missed."""


class Waker:
    """A reader that only says that it is time to look."""

    def __init__(self, wake: threading.Event) -> None:
        self._wake = wake

    def ring(self, bell: Bell) -> None:
        """Set the event."""
        self._wake.set()

    def lost(self) -> None:
        """Set the event."""
        self._wake.set()


class _Channel:
    """Readers of one channel, and whether Redis has confirmed the subscription."""

    def __init__(self) -> None:
        self.readers: tuple[Reader, ...] = ()
        self.confirmed = threading.Event()
        #: Confirmed once: a later confirmation means that the connection was broken in between.
        self.known = False
        #: SUBSCRIBE commands on their way: an earlier one must not confirm a later one.
        self.pending = 0


class Subscriber:
    """Doorbells for the readers of this process."""

    def __init__(self, url: str, *, ping_s: float = PING_S) -> None:
        self._pool: Any = connect_subscriber(url).connection_pool
        self._ping_s = ping_s
        self._lock = threading.Lock()
        self._channels: dict[bytes, _Channel] = {}
        self._connection: Any = None
        self._heard_s = 0.0
        self._started = False
        self._closed = threading.Event()

    @property
    def channels(self) -> int:
        """Channels that have a reader now."""
        return len(self._channels)

    def subscribe(self, name: str, reader: Reader) -> Callable[[], None]:
        """Listen to a channel: what is published after this returns reaches `reader`. Returns how to stop.

        Raises: StoreDown when Redis does not confirm in time.
        """
        key = name.encode()
        with self._lock:
            channel = self._channels.get(key)
            if channel is None:
                channel = self._channels[key] = _Channel()
                self._command("SUBSCRIBE", key)
            channel.readers += (reader,)
            self._start()
        if not channel.confirmed.wait(COMMAND_TIMEOUT_S):
            self._leave(key, reader)
            raise StoreDown("Redis does not answer; try again in a moment")
        return lambda: self._leave(key, reader)

    def close(self) -> None:
        """End the connection and its thread; readers hear nothing more."""
        self._closed.set()
        connection = self._connection
        if connection is not None:
            connection.disconnect()

    def _leave(self, key: bytes, reader: Reader) -> None:
        with self._lock:
            channel = self._channels.get(key)
            if channel is None:
                return
            channel.readers = tuple(other for other in channel.readers if other is not reader)
            if not channel.readers:
                del self._channels[key]
                self._command("UNSUBSCRIBE", key)

    def _start(self) -> None:
        if self._started:
            return
        self._started = True
        for target in (self._run, self._watch):
            threading.Thread(target=target, name=f"chatagent-subscriber{target.__name__}", daemon=True).start()

    def _command(self, verb: str, *keys: bytes) -> None:
        """Send without waiting; the reading thread sees the answer. Held under the lock."""
        if self._connection is None:
            return  # not connected: the reading thread subscribes to everything when it is
        if verb == "SUBSCRIBE":
            for key in keys:
                self._channels[key].pending += 1
        with suppress(*DROPPED):  # the reading thread sees it broken too
            self._connection.send_command(verb, *keys, check_health=False)

    def _run(self) -> None:
        pause_s = 0.02
        while not self._closed.is_set():
            try:
                connection = self._connect()
                pause_s = 0.02
                self._read(connection)
            except (redis.RedisError, OSError) as error:
                if not self._closed.is_set():
                    logger.warning("doorbells lost", extra={"error": str(error)})
            except Exception:
                # Also AttributeError: redis-py forgets its parser when another thread disconnects.
                if not self._closed.is_set():
                    logger.exception("doorbells failed")
            self._disconnected()
            self._closed.wait(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(pause_s * 2, _MAX_BACKOFF_S)

    def _connect(self) -> Any:
        """A connection that is subscribed to every channel of now."""
        connection = self._pool.get_connection()
        with self._lock:
            self._heard_s = time.monotonic()
            self._connection = connection
            for channel in self._channels.values():
                channel.pending = 0
            if self._channels:
                self._command("SUBSCRIBE", *self._channels)
        return connection

    def _disconnected(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
            for channel in self._channels.values():
                channel.confirmed.clear()
        if connection is not None:
            connection.disconnect()
            self._pool.release(connection)

    def _read(self, connection: Any) -> None:
        """Hand out what comes until the connection breaks."""
        while True:
            message = connection.read_response(disconnect_on_error=False)
            self._heard_s = time.monotonic()
            kind = message[0]
            if kind == b"message":
                self._ring(message[1], message[2])
            elif kind == b"subscribe":
                self._confirm(message[1])

    def _ring(self, key: bytes, payload: bytes) -> None:
        channel = self._channels.get(key)
        if channel is None:
            return
        bell = parse_bell(payload)
        for reader in channel.readers:
            reader.ring(bell)

    def _confirm(self, key: bytes) -> None:
        """A subscription stands. After a broken one, its readers may have missed bells."""
        with self._lock:
            channel = self._channels.get(key)
            if channel is None:
                return
            channel.pending -= 1
            if channel.pending > 0:
                return
            missed = channel.readers if channel.known else ()
            channel.known = True
        for reader in missed:
            reader.lost()
        channel.confirmed.set()

    def _watch(self) -> None:
        """Find a connection that is dead and does not say so (its host is gone)."""
        while not self._closed.wait(self._ping_s):
            connection, silent_s = self._connection, time.monotonic() - self._heard_s
            if connection is not None and silent_s > self._ping_s * 2.5:
                logger.warning("doorbells silent", extra={"silent_s": round(silent_s, 1)})
                connection.disconnect()
            elif self._lock.acquire(timeout=self._ping_s):
                self._command("PING")
                self._lock.release()
