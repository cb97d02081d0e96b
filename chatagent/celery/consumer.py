"""A Celery consumer that hands on what it does not serve, and survives losing its broker with messages unacknowledged.

Celery 5.7.0 exits when its broker is lost: `on_connection_error_after_connected` closes a connection whose channel
pool it has just collected, and restoring the unacked messages then fails on a client that is gone. A late ack on the
dead channel fails the same way. Turn tasks acknowledge early, so only the moment between delivery and ack is at risk.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from celery.worker.consumer import Consumer

logger = logging.getLogger(__name__)

#: Seconds between attempts to reach a broker that went away. Celery's own grow from 2 to 30, while chats wait.
RECONNECT_S = 1.0


class RobustConsumer(Consumer):  # type: ignore[misc]
    """`worker_consumer = "chatagent.celery.consumer:RobustConsumer"`."""

    def ensure_connected(self, conn: Any) -> Any:
        """Connect to the broker, however long that takes."""
        conn.ensure_connection = partial(
            conn.ensure_connection, interval_start=RECONNECT_S, interval_step=0, interval_max=RECONNECT_S
        )
        return super().ensure_connected(conn)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Leave unacked messages where they are (their tasks go on) and let nothing fatal out of the close."""
        connection = self.connection
        if connection is not None:
            for channel in list(getattr(connection.transport, "channels", None) or ()):
                channel.do_restore = False
            close = connection.close

            def close_quietly(*args: Any, **kwargs: Any) -> None:
                try:
                    close(*args, **kwargs)
                except Exception:
                    logger.warning("dead broker connection did not close cleanly", exc_info=True)

            connection.close = close_quietly
        super().on_connection_error_after_connected(exc)

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        """Hand a task that is not ours to another worker of the queue, once; what nobody takes is an error.

        Workers that serve different agents share a queue between two deploys, and next to each other in development.
        """
        if message.delivery_info.get("redelivered"):
            super().on_unknown_task(body, message, exc)
            return
        logger.warning("task left to another worker, this one does not serve it: %s", exc)
        message.reject_log_error(logger, self.connection_errors, requeue=True)

    def call_soon_ack(self, p: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Acknowledge; what a dead channel cannot take stays with the broker, and its duplicate does no harm."""

        def acknowledge(*values: Any, **named: Any) -> None:
            try:
                p(*values, **named)
            except Exception:
                logger.warning("message not acknowledged on a dead channel", exc_info=True)

        return super().call_soon_ack(acknowledge, *args, **kwargs)
