"""Runs of tasks on a real Redis: triggered, awaited, retried, stopped, found again after crashes."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from pydantic import BaseModel

from chatagent import AbortTaskRun, Retry, TaskRun, chat, task
from chatagent.agent.task import MAX_BYTES
from chatagent.child import session_of_run
from chatagent.errors import BadRequest, ConfigError, NotFound, TaskFailed, TooLarge
from tests.runtime.fleet import Fleet, fleet
from tests.runtime.world import text_of, until


class Query(BaseModel):
    text: str
    limit: int = 3


class Found(BaseModel):
    hits: list[str]


@task("search")
async def search(query: Query) -> Found:
    """Search things."""
    return Found(hits=[query.text] * query.limit)


def test_a_task_is_still_a_function() -> None:
    assert asyncio.run(search(Query(text="a", limit=1))) == Found(hits=["a"])
    assert search.description == "Search things."
    assert search.schema is Query


def test_an_agent_waits_for_a_tasks_output(redis_url: str) -> None:
    @chat.agent("asker")
    async def asker(turn: chat.Turn[Any]) -> str:
        result = await search.trigger_and_wait(Query(text="x", limit=2))
        assert result.ok
        return ",".join(result.unwrap().hits)

    async def test(world: Fleet) -> None:
        async with world.worker(asker, search):
            session = world.chat(asker)
            world.say(session)
            await world.dispatch("asker", session.id, "turns")
            await until(lambda: len(world.history(session)) == 2)
            assert text_of(world.history(session))[1] == "x,x"

    fleet(redis_url, test)


def test_a_run_is_a_session_that_stands_in_no_listing(redis_url: str) -> None:
    async def test(world: Fleet) -> None:
        async with world.worker(search):
            tasks = world.tasks()
            handle = await asyncio.to_thread(tasks.trigger, search, Query(text="y"))
            result = await asyncio.to_thread(tasks.wait, search, handle.run_id, timeout_s=20)
            assert result.ok and result.output == Found(hits=["y", "y", "y"])
            assert world.side.sessions.list() == []
            session = f"test:{{{handle.run_id.replace('run_', 'session_')}}}:session"
            await until(lambda: 0 < world.side.client.ttl(session) <= 86_400)
            await asyncio.to_thread(tasks.close)

    fleet(redis_url, test)


def test_an_idempotency_key_finds_its_run(redis_url: str) -> None:
    ran: list[str] = []

    @task("once")
    async def once(name: str) -> str:
        ran.append(name)
        return name

    async def test(world: Fleet) -> None:
        async with world.worker(once):
            tasks = world.tasks()
            handles = [
                await asyncio.to_thread(tasks.trigger, once, "a", idempotency_key="k"),
                await asyncio.to_thread(tasks.trigger, once, "b", idempotency_key="k"),
                await asyncio.to_thread(tasks.trigger, once, "c", idempotency_key="other"),
            ]
            results = [await asyncio.to_thread(tasks.wait, once, each.run_id, timeout_s=20) for each in handles]
            assert [each.output for each in results] == ["a", "a", "c"]
            assert sorted(ran) == ["a", "c"]
            with pytest.raises(NotFound):
                tasks.result(once, "run_unknown")
            await asyncio.to_thread(tasks.close)

    fleet(redis_url, test)


def test_a_task_that_raises_is_tried_again_and_its_attempts_are_counted(redis_url: str) -> None:
    attempts: list[int] = []

    @task("flaky", retry=Retry(max_attempts=3, min_s=0.01))
    async def flaky(name: str, run: TaskRun) -> str:
        attempts.append(run.attempt)
        if run.attempt < 3:
            raise RuntimeError("not yet")
        return name

    @task("hopeless", retry=Retry(max_attempts=2, min_s=0.01))
    def hopeless(name: str) -> str:
        attempts.append(0)
        raise ValueError(f"no {name}")

    @task("refusing", retry=Retry(max_attempts=5, min_s=0.01))
    async def refusing(name: str) -> str:
        attempts.append(-1)
        raise AbortTaskRun("never")

    async def test(world: Fleet) -> None:
        async with world.worker(flaky, hopeless, refusing):
            tasks = world.tasks()
            handle = await asyncio.to_thread(tasks.trigger, flaky, "a")
            assert (await asyncio.to_thread(tasks.wait, flaky, handle.run_id, timeout_s=20)).unwrap() == "a"
            handle = await asyncio.to_thread(tasks.trigger, hopeless, "b")
            failed = await asyncio.to_thread(tasks.wait, hopeless, handle.run_id, timeout_s=20)
            assert failed.error == {"name": "ValueError", "message": "no b"}
            with pytest.raises(TaskFailed, match="no b"):
                failed.unwrap()
            handle = await asyncio.to_thread(tasks.trigger, refusing, "c")
            aborted = await asyncio.to_thread(tasks.wait, refusing, handle.run_id, timeout_s=20)
            assert aborted.error == {"name": "AbortTaskRun", "message": "never"}
            await asyncio.to_thread(tasks.close)

    fleet(redis_url, test)
    assert attempts == [1, 2, 3, 0, 0, -1]


def test_a_plain_function_runs_in_a_thread(redis_url: str) -> None:
    @task("blocking")
    def blocking(name: str) -> bool:
        return threading.current_thread() is threading.main_thread()

    async def test(world: Fleet) -> None:
        async with world.worker(blocking):
            tasks = world.tasks()
            handle = await asyncio.to_thread(tasks.trigger, blocking, "a")
            assert (await asyncio.to_thread(tasks.wait, blocking, handle.run_id, timeout_s=20)).output is False
            await asyncio.to_thread(tasks.close)

    fleet(redis_url, test)


def test_what_does_not_fit_is_refused_with_its_place() -> None:
    with pytest.raises(BadRequest, match=r"payload\.limit"):
        search.new_run({"text": "a", "limit": "many"})  # type: ignore[arg-type]
    with pytest.raises(TooLarge, match="payload of task 'search'"):
        search.new_run(Query(text="x" * MAX_BYTES))
    with pytest.raises(BadRequest, match="output of task 'search' cannot be written as JSON"):
        search.dump_output(object())
    with pytest.raises(ConfigError, match="colour"):
        task("paint", colour="red")
    with pytest.raises(ConfigError, match="elsewhere"):
        asyncio.run(search.trigger(Query(text="a")))


def test_a_stop_of_the_turn_cancels_the_task_that_it_waits_for(redis_url: str) -> None:
    seen: list[str] = []

    @task("endless")
    async def endless(name: str, run: TaskRun) -> None:
        seen.append("started")
        await run.signal.wait()
        seen.append(str(run.stop_signal.aborted))

    @task("middle")
    async def middle(name: str) -> None:
        (await endless.trigger_and_wait(name)).unwrap()

    @chat.agent("impatient")
    async def impatient(turn: chat.Turn[Any]) -> str:
        (await middle.trigger_and_wait("a")).unwrap()
        return "never"

    async def test(world: Fleet) -> None:
        async with world.worker(impatient, middle, endless):
            session = world.chat(impatient)
            world.say(session)
            await world.dispatch("impatient", session.id, "turns")
            await until(lambda: seen == ["started"])
            world.stop(session)
            await until(lambda: world.history(session))
            await until(lambda: seen == ["started", "True"])

    fleet(redis_url, test)


def test_a_hundred_parents_in_ten_slots_get_their_children(redis_url: str) -> None:
    @task("leaf")
    async def leaf(n: int) -> int:
        return n * n

    @task("parent")
    async def parent(n: int) -> int:
        return (await leaf.trigger_and_wait(n)).unwrap()

    async def test(world: Fleet) -> None:
        async with world.worker(parent, leaf):
            tasks = world.tasks()
            handles = [await asyncio.to_thread(tasks.trigger, parent, n) for n in range(100)]
            results = [await asyncio.to_thread(tasks.wait, parent, each.run_id, timeout_s=40) for each in handles]
            assert [each.output for each in results] == [n * n for n in range(100)]
            await asyncio.to_thread(tasks.close)

    fleet(redis_url, test, slots=10)


def test_a_parent_that_died_comes_back_to_the_same_child(redis_url: str) -> None:
    ran: list[str] = []
    gate = asyncio.Event()

    @task("slow-child")
    async def slow_child(name: str) -> str:
        ran.append(name)
        await gate.wait()
        return name.upper()

    @chat.agent("survivor")
    async def survivor(turn: chat.Turn[Any]) -> str:
        return (await slow_child.trigger_and_wait("a", idempotency_key=turn.session_id)).unwrap()

    async def test(world: Fleet) -> None:
        async with world.worker(slow_child, survivor, owner="alive"):
            session = world.chat(survivor)
            world.say(session)
            async with world.mortal(survivor, owner="mortal") as (doomed, die):
                parent = asyncio.create_task(doomed.run_turn("survivor", session.id))
                world.engines.remove(doomed)
                await until(lambda: ran == ["a"])
                world.engines.insert(0, doomed)
                die()
                await asyncio.gather(parent, return_exceptions=True)
            await until(lambda: world.side.sessions.get("c1").status == "running" and len(world.sent) >= 2)
            gate.set()
            await until(lambda: len(world.history(session)) == 2)
            assert text_of(world.history(session))[1] == "A"
            assert ran == ["a"]

    fleet(redis_url, test)


def test_max_duration_ends_a_run_and_what_it_waits_for(redis_url: str) -> None:
    cancelled: list[bool] = []

    @task("sleeper")
    async def sleeper(name: str, run: TaskRun) -> None:
        await run.stop_signal.wait()
        cancelled.append(True)

    @task("limited", max_duration_s=0.2, max_attempts=1)
    async def limited(name: str) -> None:
        await sleeper.trigger_and_wait(name)

    async def test(world: Fleet) -> None:
        async with world.worker(limited, sleeper):
            tasks = world.tasks()
            handle = await asyncio.to_thread(tasks.trigger, limited, "a")
            result = await asyncio.to_thread(tasks.wait, limited, handle.run_id, timeout_s=20)
            assert result.error is not None and result.error["name"] == "TurnTimeout"
            await until(lambda: cancelled)
            await asyncio.to_thread(tasks.close)

    fleet(redis_url, test)


def test_attempts_are_kept_when_a_worker_dies_between_them(redis_url: str) -> None:
    attempts: list[int] = []

    @task("fragile", retry=Retry(max_attempts=3, min_s=30))
    async def fragile(name: str, run: TaskRun) -> str:
        attempts.append(run.attempt)
        if run.attempt == 1:
            raise RuntimeError("once")
        return name

    async def test(world: Fleet) -> None:
        tasks = world.tasks()
        async with world.mortal(fragile) as (_, die):
            handle = await asyncio.to_thread(tasks.trigger, fragile, "a")
            key = f"test:{{{session_of_run(handle.run_id)}}}:session"
            await until(lambda: world.side.client.hget(key, "locals") == b'{"failed":1}')
            die()
            async with world.worker(fragile):
                assert (await asyncio.to_thread(tasks.wait, fragile, handle.run_id, timeout_s=20)).output == "a"
        await asyncio.to_thread(tasks.close)

    fleet(redis_url, test)
    assert attempts == [1, 3], "one raised, one died"


def test_a_lost_doorbell_loses_no_result(redis_url: str) -> None:
    gate = asyncio.Event()
    waiting: list[str] = []

    @task("gated")
    async def gated(name: str) -> str:
        waiting.append(name)
        await gate.wait()
        return name

    @task("waiter")
    async def waiter(name: str) -> str:
        return (await gated.trigger_and_wait(name)).unwrap()

    async def test(world: Fleet) -> None:
        async with world.worker(waiter, gated):
            tasks = world.tasks()
            handle = await asyncio.to_thread(tasks.trigger, waiter, "a")
            await until(lambda: waiting)
            assert int(world.side.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")) >= 1  # type: ignore[no-untyped-call,unused-ignore]
            gate.set()
            assert (await asyncio.to_thread(tasks.wait, waiter, handle.run_id, timeout_s=20)).output == "a"
            await asyncio.to_thread(tasks.close)

    fleet(redis_url, test)


def test_a_run_may_be_cancelled_from_outside(redis_url: str) -> None:
    started: list[str] = []

    @task("cancelled")
    async def cancelled(name: str, run: TaskRun) -> str:
        started.append(name)
        await run.signal.wait()
        return name

    async def test(world: Fleet) -> None:
        async with world.worker(cancelled):
            tasks = world.tasks()
            handle = await asyncio.to_thread(tasks.trigger, cancelled, "a")
            await until(lambda: started)
            await asyncio.to_thread(tasks.cancel, handle.run_id)
            result = await asyncio.to_thread(tasks.wait, cancelled, handle.run_id, timeout_s=20)
            assert result.error == {"name": "Cancelled", "message": "the run was cancelled"}
            await asyncio.to_thread(tasks.close)

    fleet(redis_url, test)
