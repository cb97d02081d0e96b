"""How `chatagent web` runs gunicorn: one process on gevent with room for many sockets; `-b` and `-w` come with it."""

from __future__ import annotations

from chatagent.flask.process import prepare_worker

worker_class = "gevent"
#: Sockets and requests that one process holds at once, and connections that wait to be accepted.
worker_connections = 20_000
backlog = 4096
#: Seconds an idle HTTP connection is kept: longer than a proxy keeps it, so that the proxy ends it.
keepalive = 75
#: Seconds a stuck process lives, and that streams have to end on a restart; WebSockets are told to come back at once.
timeout = 60
graceful_timeout = 10
#: Two gateways of one user would share its path.
control_socket_disable = True
#: Without the query, which may hold a token.
access_log_format = '%(h)s "%(m)s %(U)s" %(s)s %(b)s %(M)sms'
post_worker_init = prepare_worker
