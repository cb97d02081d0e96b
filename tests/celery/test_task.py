"""Tasks on a real Celery worker with a small pool."""

from __future__ import annotations

from contextlib import closing

from celery import Celery

from chatagent import chat, task
from chatagent.celery import Enqueue, make_producer, mount
from chatagent.cli.broker import celery_broker, celery_prefix
from chatagent.redis import RedisBackend
from chatagent.redis.task import Tasks
from chatagent.settings import Settings
from tests.stack import Stack

AGENTS = """
from chatagent import chat, task

@task("leaf")
async def leaf(n: int) -> int:
    return n * n

@task("parent")
async def parent(n: int) -> int:
    return (await leaf.trigger_and_wait(n)).unwrap()

@chat.agent("idle")
async def idle(turn: chat.Turn) -> str:
    return "hi"
"""


@task("leaf")
async def leaf(n: int) -> int:
    return n * n


@task("parent")
async def parent(n: int) -> int:
    return 0


def test_a_task_becomes_a_celery_task_of_its_name() -> None:
    @chat.agent("one")
    async def one(turn: chat.Turn[None]) -> str:
        return "1"

    app = Celery(set_as_current=False)
    mount(app, agents=[one], tasks=[leaf], backend=RedisBackend("redis://127.0.0.1:1/0"))
    assert {"one", "leaf"} <= set(app.tasks)
    assert app.tasks["leaf"].ignore_result is True


def test_a_hundred_parents_on_a_pool_of_ten_do_not_deadlock(stack: Stack) -> None:
    file = stack.folder / "agents.py"
    file.write_text(AGENTS)
    settings = Settings(redis_url=stack.redis.url, prefix=stack.prefix)
    producer = make_producer(celery_broker(settings), key_prefix=celery_prefix(settings))
    with (
        stack.worker(file, "--concurrency", "10"),
        closing(producer),
        closing(Tasks(RedisBackend(stack.redis.url, stack.prefix), Enqueue(producer))) as tasks,
    ):
        handles = [tasks.trigger(parent, n) for n in range(100)]
        results = [tasks.wait(parent, handle.run_id, timeout_s=60) for handle in handles]
    assert [result.output for result in results] == [n * n for n in range(100)]
