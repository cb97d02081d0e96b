"""Engines on a real Redis whose sessions are dispatched to each other, as Celery would: so many slots, then a queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from chatagent.agent import Agent
from chatagent.agent.task import Task
from chatagent.cancel import cancel
from chatagent.redis import RedisBackend
from chatagent.redis.task import Tasks
from chatagent.runtime.engine import Engine, EngineOptions
from chatagent.runtime.port import WorkerStore
from tests.redis.chat import gateway
from tests.runtime.world import World

Kind = Agent[Any] | Task[Any, Any]

#: Leases are renewed, and dead ones found, fast enough for tests; a busy machine loses none.
LEASE_S = 30.0
OPTIONS = EngineOptions(heartbeat_s=0.3, sweep_s=0.05, grace_s=0.2)


class Fleet(World):
    """A world whose dispatch runs what it is sent."""

    slots: asyncio.Semaphore
    engines: list[Engine]

    def setup(self, slots: int) -> None:
        """Open so many slots, on the running loop."""
        self.slots = asyncio.Semaphore(slots)
        self.engines = []
        self._jobs: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def worker(self, *kinds: Kind, owner: str = "w1") -> AsyncIterator[Engine]:
        """An engine that serves what is dispatched."""
        store = RedisBackend(self.url, "test", lease_s=LEASE_S, claim_grace_s=1).open_worker(owner, f"queue.{owner}")
        engine = Engine(store, {kind.id: kind for kind in kinds}, self.dispatch, OPTIONS)
        engine.start()
        bells = asyncio.create_task(store.listen(engine.on_bell))
        self.engines.append(engine)
        try:
            yield engine
        finally:
            if engine in self.engines:
                self.engines.remove(engine)
            await engine.stop()
            await cancel([bells])
            await store.close()

    @asynccontextmanager
    async def mortal(self, *kinds: Kind, owner: str = "mortal") -> AsyncIterator[tuple[Engine, Callable[[], None]]]:
        """An engine, and how its process dies: it does nothing more, and its leases lapse."""
        store: WorkerStore = RedisBackend(self.url, "test", lease_s=LEASE_S, claim_grace_s=1).open_worker(
            owner, f"queue.{owner}"
        )
        engine = Engine(store, {kind.id: kind for kind in kinds}, self.dispatch, OPTIONS)
        engine.start()
        self.engines.insert(0, engine)

        torn: set[asyncio.Task[Any]] = set()

        def die() -> None:
            self.engines.remove(engine)
            held = list(engine._leases)
            torn.update(engine._background, (active.task for active in held if active.task is not None))
            for task in torn:
                task.cancel()
            for active in held:
                self.expire(active.claim.session_id)

        try:
            yield engine, die
        finally:
            await cancel(torn)
            await store.close()

    async def dispatch(self, agent_id: str, session_id: str, queue: str) -> None:
        """Run a session on the first engine that serves it, when there is a slot."""
        self.sent.append((agent_id, session_id, queue))
        job = asyncio.create_task(self._job(agent_id, session_id))
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)

    async def _job(self, agent_id: str, session_id: str) -> None:
        async with self.slots:
            engine = next((engine for engine in self.engines if agent_id in engine.agents), None)
            if engine is not None:
                await engine.run_turn(agent_id, session_id)

    def tasks(self) -> Tasks:
        """The client of a web process on this loop's fleet."""
        loop = asyncio.get_running_loop()

        def dispatch(agent_id: str, session_id: str, queue: str) -> None:
            asyncio.run_coroutine_threadsafe(self.dispatch(agent_id, session_id, queue), loop)

        return Tasks(RedisBackend(self.url, "test"), dispatch)


def fleet(
    url: str,
    test: Callable[[Fleet], Coroutine[Any, Any, None]],
    *,
    slots: int = 10,
    runner: asyncio.Runner | None = None,
) -> None:
    """Run `test` in a fleet's world; with a model on its `runner`."""

    async def run(world: Fleet) -> None:
        world.setup(slots)
        async with asyncio.timeout(30):
            await test(world)

    with gateway(url) as side:
        work = run(Fleet(url, side))
        if runner is None:
            asyncio.run(work)
        else:
            runner.run(work)
