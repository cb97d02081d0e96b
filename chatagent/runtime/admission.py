"""Concurrency limits that hold over all workers: how many turns of an agent run at a time."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from chatagent.errors import StoreDown
from chatagent.runtime.patience import patiently
from chatagent.runtime.port import Settled, Store

logger = logging.getLogger(__name__)

#: Enqueues the turn of a session.
Send = Callable[[Settled, str], Awaitable[None]]


class Admissions:
    """Who of an agent with a limit may run.

    A turn that may not ends its task at once. Its session waits in line: whoever ends gives the place to the first
    there and enqueues it; should that be lost, the sweeper enqueues it again.
    """

    def __init__(self, store: Store, send: Send) -> None:
        self._store = store
        self._send = send

    async def enter(self, agent_id: str, session_id: str, limit: int) -> bool:
        """Whether the turn may run now. The place is kept with its lease."""
        return await patiently(lambda: self._store.admit(agent_id, session_id, limit), "no place asked for")

    async def leave(self, agent_id: str, session_id: str, queue: str) -> None:
        """The turn is over: enqueue the one that waits longest."""
        try:
            first = await self._store.release(agent_id, session_id)
        except StoreDown:
            logger.warning("place not given back, Redis is away; it becomes free with its lease")
            return
        if first is not None:
            await self._send(Settled("queued", agent_id, queue), first)

    async def refuse(self, agent_id: str, session_id: str, queue: str) -> None:
        """There was nothing to claim: give the place back, unless it is that of a turn that runs elsewhere."""
        try:
            (settled,) = await self._store.settle([session_id])
        except StoreDown:
            logger.warning("place not given back, Redis is away; it becomes free with its lease")
            return
        if settled.state == "queued":
            await self._send(settled, session_id)
        if settled.state != "held":
            await self.leave(agent_id, session_id, queue)
