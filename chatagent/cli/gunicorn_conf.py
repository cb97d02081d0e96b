"""Gunicorn's settings for a gateway: `gunicorn -c python:chatagent.cli.gunicorn_conf "yours:app"`.

On gevent, with room for many sockets. Gunicorn itself reads where to listen from PORT (without it: 127.0.0.1:8000) and
how many processes to run from WEB_CONCURRENCY: one per core. They share nothing but Redis, so no sticky sessions are
needed. Imports nothing of ours: gevent patches the process after this file and before the app.
"""

from __future__ import annotations

from typing import Any

worker_class = "chatagent.cli.gunicorn_worker.GatewayWorker"
#: Sockets and requests that one process holds at once, and connections that wait to be accepted.
worker_connections = 20_000
backlog = 4096
#: Seconds an idle HTTP connection is kept: longer than a proxy keeps it, so that the proxy ends it.
keepalive = 75
#: Seconds a stuck process lives.
timeout = 60
#: Seconds that answers over HTTP have to end on a restart. WebSockets, and streams without an end, are told to come
#: back at once, and idle connections are closed.
graceful_timeout = 10
#: Two gateways of one user would share its path.
control_socket_disable = True
#: Without the query, which may hold a token.
access_log_format = '%(h)s "%(m)s %(U)s" %(s)s %(b)s %(M)sms'


def post_worker_init(worker: Any) -> None:
    """Make room for sockets, and tell them to come back when the worker must end."""
    worker.wsgi.extensions["chatagent"].prepare_worker(worker)
