"""Gunicorn's settings for the gateway. Options on its command line go before what is written here."""

from __future__ import annotations

from typing import Any

# Gunicorn itself reads where to listen from PORT (without it: 127.0.0.1:8000) and how many processes to run from
# WEB_CONCURRENCY: one per core. They share nothing but Redis, so no sticky sessions are needed.
worker_class = "gevent"
# Sockets and requests that one process holds at once.
worker_connections = 20_000
backlog = 4096
# Seconds an idle HTTP connection is kept: longer than a proxy keeps it, so that the proxy ends it.
keepalive = 75
# Seconds a stuck process lives, and that streams have to end on a restart; WebSockets are told to come back at once.
timeout = 60
graceful_timeout = 10
# Two gateways of one user would share its path.
control_socket_disable = True
# Without the query, which may hold a token.
access_log_format = '%(h)s "%(m)s %(U)s" %(s)s %(b)s %(M)sms'


def post_worker_init(worker: Any) -> None:
    """Make room for sockets, and tell them when the worker must end. (No import of ours: gevent patches first.)"""
    worker.wsgi.extensions["chatagent"].prepare_worker(worker)
