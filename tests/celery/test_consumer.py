from __future__ import annotations

import pytest
from celery import Celery
from kombu.message import Message
from kombu.simple import SimpleQueue

from chatagent.celery import Enqueue, make_producer
from chatagent.celery.consumer import RobustConsumer
from chatagent.redis.connection import broker_url


def test_a_task_of_another_workers_agent_goes_back_to_the_queue_once(
    redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_producer(broker_url(redis_url))
    with app.connection_for_read() as connection:
        queue = connection.SimpleQueue("turns")
        # Given the task of an agent that this worker does not serve
        Enqueue(app)("theirs", "session_x", "turns")
        first = queue.get(timeout=5)
        # When it comes here, it is there for others again
        _receive(app, first)
        again = queue.get(timeout=5)
        assert (again.headers["task"], again.payload[0]) == ("theirs", ["session_x"])
        assert "unregistered" not in caplog.text
        # And when nobody else took it, it is an error, and does not go round for ever
        _receive(app, again)
        assert _is_empty(queue)
        assert "unregistered task" in caplog.text
    app.close()


def _receive(app: Celery, message: Message) -> None:
    """What a worker does with a task that it does not know."""
    consumer = RobustConsumer.__new__(RobustConsumer)
    consumer.app = app
    consumer.connection_errors = ()
    consumer.event_dispatcher = None
    consumer.on_unknown_task(None, message, KeyError(message.headers["task"]))


def _is_empty(queue: SimpleQueue) -> bool:
    try:
        queue.get(block=False)  # type: ignore[no-untyped-call]
    except SimpleQueue.Empty:
        return True
    return False
