"""A gateway in its process: the sockets it holds, room for them, and a quick goodbye when the process must end."""

from __future__ import annotations

import resource
import threading
import time
from contextlib import suppress
from typing import Any

from chatagent.flask.gateway import Gateway
from chatagent.flask.websocket.connection import Connection

#: Seconds between two looks at whether the process was told to end.
_LOOK_S = 0.1


class Mounted:
    """What `mount` put into an app (`app.extensions["chatagent"]`)."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self._connections: set[Connection] = set()

    def serve(self, connection: Connection) -> None:
        """Hold a WebSocket until it ends."""
        self._connections.add(connection)
        try:
            if self.gateway.departure.begun:  # it came to the old process before that stopped listening
                connection.restart()
            connection.serve()
        finally:
            self._connections.discard(connection)

    def prepare_worker(self, worker: Any) -> None:
        """For gunicorn's `post_worker_init`: make room for sockets; on SIGTERM or SIGHUP tell clients to come back.

        Reached through the app, so that gunicorn's settings import nothing before gevent has patched the process.
        """
        raise_file_limit()

        def look() -> None:
            while worker.alive:
                time.sleep(_LOOK_S)
            self.depart()

        threading.Thread(target=look, name="chatagent-restart", daemon=True).start()

    def depart(self) -> None:
        """Close every WebSocket with 1012, and end streams without an end: clients come back, to another process."""
        self.gateway.departure.begin()
        for connection in list(self._connections):
            connection.restart()


def raise_file_limit() -> None:
    """Let this process open as many files as the system allows it: each socket is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):  # some systems allow less than they say
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
