"""Looks for what others left: turns whose worker died, and tasks that never came."""

from __future__ import annotations

import asyncio
import logging
import random

from chatagent.errors import StoreDown
from chatagent.runtime.port import Dispatch, Settled, Store

logger = logging.getLogger(__name__)

#: Sessions that are settled at a time.
_BATCH = 32


class Sweeper:
    """Enqueues turns: those that follow a turn, and those that nobody else will enqueue."""

    def __init__(self, store: Store, dispatch: Dispatch, sweep_s: float) -> None:
        self._store = store
        self._dispatch = dispatch
        self._sweep_s = sweep_s

    async def run(self) -> None:
        """Sweep for ever; cancel to end."""
        while True:
            # Jitter keeps the workers of a fleet from looking all at once.
            await asyncio.sleep(self._sweep_s * random.uniform(0.75, 1.25))
            try:
                await self.sweep()
            except StoreDown:
                logger.warning("sweep failed, Redis is away")

    async def sweep(self) -> None:
        """Look once. Raises: StoreDown."""
        overdue = await self._store.overdue()
        for start in range(0, len(overdue), _BATCH):
            batch = overdue[start : start + _BATCH]
            settled = await self._store.settle(batch)
            await asyncio.gather(*[self._follow(each, at) for each, at in zip(settled, batch, strict=True)])

    async def send(self, settled: Settled, session_id: str) -> None:
        """Enqueue a turn; when the broker does not take it, a sweep comes back to it."""
        try:
            await self._dispatch(settled.agent, session_id, settled.queue)
        except Exception:
            logger.exception("turn not enqueued; the sweeper tries again")

    async def _follow(self, settled: Settled, session_id: str) -> None:
        if settled.state == "queued":
            logger.warning("session picked up by the sweeper", extra={"session": session_id})
            await self.send(settled, session_id)
