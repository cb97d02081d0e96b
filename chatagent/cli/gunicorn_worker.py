"""Gunicorn's gevent worker, but one that ends at once when nothing is being answered.

Gunicorn's own looks once a second whether it is to end, and waits for idle keep-alive connections as for requests
(gunicorn issues 1236, 3227). Imports nothing of ours: gevent patches the process after this module and before the app.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from functools import partial
from typing import Any

import gevent
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.sock import ssl_context
from gunicorn.workers.ggevent import GeventWorker

#: Seconds between signs of life to the master, and between two looks at what is still being answered.
_BEAT_S = 1.0
_LOOK_S = 0.02


class _Place:
    """Where a connection came in; its listener may be closed before it is looked at."""

    def __init__(self, listener: Any) -> None:
        self._name = listener.getsockname()

    def getsockname(self) -> Any:
        return self._name


class GatewayWorker(GeventWorker):  # type: ignore[misc]
    """Answers what it has begun to answer, within `graceful_timeout`; connections that ask nothing are closed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ending = Event()
        #: Connections that wait for a request, by the greenlet that reads them.
        self._idle: dict[Any, Any] = {}

    def run(self) -> None:
        servers = [self._serve(listener) for listener in self.sockets]
        while self.alive:
            self.notify()
            self._ending.wait(_BEAT_S)
        for server in servers:
            server.close()
        ends = time.monotonic() + self.cfg.graceful_timeout
        while any(server.pool for server in servers) and time.monotonic() < ends:
            self._close_idle()
            self.notify()
            gevent.sleep(_LOOK_S)
        if any(server.pool for server in servers):
            self.log.warning("requests that took too long are cut off (pid: %s)", self.pid)
            for server in servers:
                server.stop(timeout=1)

    def _serve(self, listener: Any) -> Any:
        listener.setblocking(1)
        options = {"ssl_context": ssl_context(self.cfg)} if self.cfg.is_ssl else {}
        handle = partial(self.handle, _Place(listener))
        server = StreamServer(listener, handle=handle, spawn=Pool(self.worker_connections), **options)
        if self.cfg.workers > 1:
            server.max_accept = 1  # connections are spread over the processes
        server.start()
        return server

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        reader = gevent.getcurrent()
        self._idle[reader] = client
        try:
            super().handle(listener, client, addr)
        finally:
            self._idle.pop(reader, None)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        reader = gevent.getcurrent()
        self._idle.pop(reader, None)
        try:
            super().handle_request(listener_name, req, sock, addr)
        finally:
            self._idle[reader] = sock

    def _close_idle(self) -> None:
        """No more is read from them: a request that has arrived is answered, else the connection ends."""
        for client in self._idle.values():
            with suppress(OSError):  # the peer was quicker
                client.shutdown(socket.SHUT_RD)

    def handle_exit(self, sig: Any, frame: Any) -> None:
        super().handle_exit(sig, frame)
        self._ending.set()
