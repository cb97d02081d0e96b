"""The worker's service: an engine on its loop, started and stopped with the Celery worker."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import sys
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from celery import Celery

from chatagent.agent import Agent, CustomAgent
from chatagent.cancel import cancel
from chatagent.celery.enqueue import Enqueue
from chatagent.celery.loop import LoopThread
from chatagent.errors import StoreDown
from chatagent.llm import close_clients, load_litellm
from chatagent.runtime.engine import Engine, EngineOptions
from chatagent.runtime.kind import Kind
from chatagent.runtime.port import Backend, WorkerStore

logger = logging.getLogger(__name__)

#: Seconds between announcements of this worker.
ANNOUNCE_S = 5.0
#: Seconds after which a thread that waits for the interpreter gets it.
_SWITCH_S = 0.0005
#: Seconds beyond the grace period until a stop gives up.
_STOP_MARGIN_S = 12.0


@dataclass(frozen=True, slots=True)
class Options:
    """How the agents of a Celery app are run."""

    engine: EngineOptions = field(default_factory=EngineOptions)
    #: Import the model library when the worker starts; it takes seconds, which the first message would wait for.
    warm_up: bool = True


class Service:
    """Runs the turns that Celery hands to this process. One per worker process."""

    def __init__(self, app: Celery, agents: Mapping[str, Kind], backend: Backend, options: Options) -> None:
        self._app = app
        self._agents = agents
        self._backend = backend
        self._options = options
        self._loop: LoopThread | None = None
        self._engine: Engine | None = None
        self._announcing: Future[None] | None = None

    @property
    def queues(self) -> list[str]:
        """The queues that the agents' turns come from."""
        return sorted({agent.options.queue or self._options.engine.queue for agent in self._agents.values()})

    def start(self, hostname: str) -> None:
        """Open the loop, the store and the engine. `hostname` is Celery's name of this worker."""
        # Celery's thread and the pool's share the GIL with a loop that may be busy all the time. At the default of
        # 5 ms a switch, the few switches that a task needs to start would add up to 40 ms.
        sys.setswitchinterval(_SWITCH_S)
        self._loop = LoopThread()
        self._loop.start()
        self._loop.submit(self._open(hostname)).result()
        self._announcing = self._loop.submit(self._announce(hostname))

    def run(self, agent_id: str, session_id: str) -> str:
        """Run one turn to its end, from a thread of the pool."""
        if self._loop is None or self._engine is None:
            raise RuntimeError("the chatagent service is not running; start the worker with `celery worker`")
        return self._loop.submit(self._engine.run_turn(agent_id, session_id)).result()

    def stop(self) -> None:
        """Let running turns end, hand back the rest, and close everything. Returns when all is done."""
        loop, self._loop = self._loop, None
        if loop is None:
            return
        timeout_s = self._options.engine.grace_s + _STOP_MARGIN_S
        try:
            loop.submit(self._close()).result(timeout_s)
        except TimeoutError:
            logger.error("shutdown took too long; leases of running turns will lapse")
        loop.stop()

    async def _open(self, hostname: str) -> None:
        owner = f"{hostname}/{os.getpid()}-{secrets.token_hex(3)}"
        self._store: WorkerStore = self._backend.open_worker(owner, direct_queue(hostname))
        enqueue = Enqueue(self._app)

        async def dispatch(agent_id: str, session_id: str, queue: str) -> None:
            await asyncio.to_thread(enqueue, agent_id, session_id, queue)

        self._engine = Engine(self._store, self._agents, dispatch, self._options.engine)
        self._engine.start()
        self._bells = asyncio.create_task(self._store.listen(self._engine.on_bell), name="doorbell")

    async def _close(self) -> None:
        assert self._engine is not None and self._announcing is not None
        self._announcing.cancel()
        await self._engine.stop()
        await cancel([self._bells])
        try:
            await self._store.leave()
        except StoreDown:
            logger.warning("worker not signed off, Redis is away")
        await self._store.close()
        await close_clients()

    async def _announce(self, hostname: str) -> None:
        if self._options.warm_up:
            await asyncio.to_thread(load_litellm)
        cards = {agent.id: self._card(agent) for agent in self._agents.values() if isinstance(agent, Agent)}
        logger.info("worker ready", extra={"worker": hostname, "agents": ", ".join(self._agents)})
        while True:
            try:
                await self._store.announce(cards)
            except StoreDown:
                logger.warning("worker not announced, Redis is away")
            await asyncio.sleep(ANNOUNCE_S)

    def _card(self, agent: Agent[Any]) -> dict[str, Any]:
        return {
            "id": agent.id,
            "kind": "custom" if isinstance(agent, CustomAgent) else "agent",
            "busy": agent.options.busy,
            "queue": agent.options.queue or self._options.engine.queue,
            "description": agent.description,
            "model": agent.options.model or self._options.engine.turn.model,
            "examples": list(agent.options.examples),
        }


def direct_queue(hostname: str) -> str:
    """The queue that only the worker `hostname` consumes: a warm chat's next message goes there."""
    return f"chatagent.{hostname}"
