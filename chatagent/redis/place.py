"""Places: how many sessions of an agent may be answered at once, over all workers.

A place has a deadline that is moved on with the lease, so that those of a dead worker become free by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable

import redis.asyncio

from chatagent.redis.due import due
from chatagent.redis.error import store_errors
from chatagent.redis.keys import Keys
from chatagent.redis.script import Command, run_async, script
from chatagent.redis.store import LeaseOptions, StorePart


class Places(StorePart):
    """The worker's side."""

    def __init__(self, client: redis.asyncio.Redis, keys: Keys, options: LeaseOptions) -> None:
        super().__init__(client, keys, options)
        #: Session id → agent and its number of places, of those that have one here.
        self._placed: dict[str, tuple[str, int]] = {}

    async def admit(self, agent: str, session_id: str, limit: int) -> bool:
        """Whether the session may be answered now, as one of at most `limit` of its agent; else it waits in line."""
        args = [session_id, limit, self.options.lease_ms, self._kept_ms]
        async with store_errors():
            (admitted,) = await run_async(self.client, script("admit")(self._names(agent), args))
        if admitted == 1:
            self._placed[session_id] = (agent, limit)
        return bool(admitted == 1)

    async def release(self, agent: str, session_id: str) -> str | None:
        """Give the place back; returns the session that waits longest, for the caller to enqueue."""
        _, limit = self._placed.pop(session_id, (agent, 1))
        async with store_errors():
            args = [session_id, limit, self._kept_ms]
            (first,) = await run_async(self.client, script("release")(self._names(agent), args))
        return first.decode() if first else None

    def _keep_places(self, session_ids: Iterable[str]) -> list[Command]:
        """What renews the places of these sessions, together with their leases."""
        lease_ms = self.options.lease_ms
        held = [(session_id, self._placed[session_id][0]) for session_id in session_ids if session_id in self._placed]
        return [due(self.keys.places(agent), session_id, in_ms=lease_ms, known=True) for session_id, agent in held]

    @property
    def _kept_ms(self) -> int:
        """A place that became free is kept until the sweeper has found the one that waits, should its task be lost."""
        return 3 * self.options.grace_ms + 1000

    def _names(self, agent: str) -> list[str]:
        return [self.keys.places(agent), self.keys.waiting(agent)]
