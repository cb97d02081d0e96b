"""How `chatagent web` runs gunicorn where there is no `web/gunicorn.conf.py`: on gevent, with room for many sockets.

Imports nothing of ours: gevent patches the process after this file and before the app.
"""

from __future__ import annotations

from typing import Any

worker_class = "gevent"
#: Sockets and requests that one process holds at once, and connections that wait to be accepted.
worker_connections = 20_000
backlog = 4096
#: Seconds an idle HTTP connection is kept: longer than a proxy keeps it, so that the proxy ends it.
keepalive = 75
#: Seconds a stuck process lives, and that streams have to end on a restart.
timeout = 60
graceful_timeout = 10
#: Two gateways of one user would share its path.
control_socket_disable = True
#: Without the query, which may hold a token.
access_log_format = '%(h)s "%(m)s %(U)s" %(s)s %(b)s %(M)sms'


def post_worker_init(worker: Any) -> None:
    """Make room for sockets, and tell them to come back when the worker must end."""
    worker.wsgi.extensions["chatagent"].prepare_worker(worker)
