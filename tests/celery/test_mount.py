from __future__ import annotations

from typing import Any

import pytest
from celery import Celery

from chatagent import chat
from chatagent.celery import CELERY_SETTINGS, Enqueue, make_app, make_producer, mount
from chatagent.errors import ConfigError
from chatagent.redis import RedisBackend
from chatagent.redis.connection import broker_url


@chat.agent("one")
async def one(turn: chat.Turn[Any]) -> str:
    return "1"


@chat.agent("one")
async def another_one(turn: chat.Turn[Any]) -> str:
    return "one"


def test_an_agent_becomes_a_task_of_its_app_alone() -> None:
    ours = Celery("ours", set_as_current=False)
    mount(ours, agents=[one], backend=RedisBackend("redis://127.0.0.1:1/0"))
    other = Celery("other", set_as_current=False)
    assert "one" in ours.tasks
    assert "one" not in other.tasks
    assert ours.tasks["one"].ignore_result is True


def test_two_agents_with_one_id_are_refused() -> None:
    with pytest.raises(ConfigError, match="'one'"):
        mount(Celery(set_as_current=False), agents=[one, another_one], backend=RedisBackend("redis://127.0.0.1:1/0"))


def test_a_turn_task_run_outside_of_a_worker_says_how_to_run_it() -> None:
    app = Celery(set_as_current=False)
    mount(app, agents=[one], backend=RedisBackend("redis://127.0.0.1:1/0"))
    with pytest.raises(RuntimeError, match="celery worker"):
        app.tasks["one"]("session_x")


def test_a_turn_message_names_the_session_and_nothing_else(redis_url: str) -> None:
    app = make_producer(broker_url(redis_url))
    Enqueue(app)("one", "session_x", "turns")
    with app.connection_for_read() as connection:
        message = connection.SimpleQueue("turns").get(timeout=5)
    args, kwargs, _ = message.payload
    assert (args, kwargs) == (["session_x"], {})
    assert message.headers["task"] == "one"
    assert message.headers["argsrepr"] == "('session_x',)"
    app.close()


def test_our_own_app_keeps_celery_out_of_the_failure_path() -> None:
    app = make_app([one], backend=RedisBackend("redis://127.0.0.1:1/0"), broker_url="redis://127.0.0.1:1/0")
    assert app.conf.task_acks_late is False
    assert app.conf.worker_disable_prefetch is True
    assert not app.conf.result_backend
    assert app.conf.worker_pool == "threads"
    assert CELERY_SETTINGS["broker_transport_options"].keys() <= app.conf.broker_transport_options.keys()


@pytest.mark.filterwarnings("ignore::celery.exceptions.SecurityWarning")
def test_a_worker_serves_its_agents_whatever_the_default_queue_is_unless_told_to_serve_others() -> None:
    for selected, consumed in (
        (None, {"celery", "turns", "chatagent.w1@here"}),
        (["turns"], {"turns", "chatagent.w1@here"}),
        (["emails"], {"emails"}),
    ):
        app = Celery(broker="memory://", set_as_current=False)
        mount(app, agents=[one], backend=RedisBackend("redis://127.0.0.1:1/0"))
        worker = app.Worker(hostname="w1@here", queues=selected, pool="threads", concurrency=1)
        assert set(worker.app.amqp.queues.consume_from) == consumed
