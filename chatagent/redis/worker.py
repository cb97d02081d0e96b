"""All that one worker process needs of Redis: its store, its announcements and its doorbell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chatagent.redis.child import ChildRedis
from chatagent.redis.connection import connect, connect_async
from chatagent.redis.directory import Announcer
from chatagent.redis.doorbell import listen, parse_worker_bell
from chatagent.redis.error import store_errors
from chatagent.redis.keys import Keys
from chatagent.redis.lease import Leases
from chatagent.redis.script import run
from chatagent.redis.store import LeaseOptions
from chatagent.runtime.port import Claim


class WorkerRedis(Leases):
    """A worker's connections (`chatagent.runtime.port.WorkerStore`). Made and used on the worker's event loop."""

    def __init__(self, url: str, keys: Keys, options: LeaseOptions) -> None:
        super().__init__(connect_async(url), keys, options)
        self._url = url
        # A doorbell is silent for hours: its reads have no time limit.
        self._bells = connect_async(url, max_connections=2, blocking=True)
        self.children = ChildRedis(url, keys)
        self._announcer = Announcer(self.client, keys, options.owner)

    def keep(self, claims: Sequence[Claim]) -> None:
        """Keep leases, from another thread, while the loop cannot. Raises: StoreDown."""
        if claims:
            with connect(self._url) as client, store_errors():
                run(client, *self._renewals(claims))

    async def announce(self, agents: Mapping[str, Mapping[str, Any]]) -> None:
        """Say that this worker lives and serves `agents`. Raises: StoreDown."""
        await self._announcer.announce(agents)

    async def leave(self) -> None:
        """Say that this worker is gone. Raises: StoreDown."""
        await self._announcer.leave()

    async def listen(self, ring: Callable[[str, str], None]) -> None:
        """Call `ring(kind, session id)` when something happens to a session that we hold; for ever."""

        def rung(payload: bytes) -> None:
            kind, session_id, _ = parse_worker_bell(payload)
            ring(kind, session_id)

        await listen(self._bells, self.keys.worker_channel(self.options.owner), rung)

    async def close(self) -> None:
        """Drop all connections."""
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.client.aclose()
        await self._bells.aclose()
        await self.children.close()
