"""Concurrency limits that hold over all workers: how many turns of an agent run at a time."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from chatagent.runtime.port import Settled, Store

logger = logging.getLogger(__name__)

#: Enqueues the turn of a session.
Send = Callable[[Settled, str], Awaitable[None]]


class Admissions:
    """The admissions that this process holds."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def enter(self, agent_id: str, session_id: str, limit: int) -> bool:
        return True

    async def leave(self, agent_id: str, session_id: str, send: Send) -> None:
        pass
