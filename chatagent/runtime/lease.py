"""The turns that a process holds: their leases are kept, and what the store says of them reaches them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

from chatagent.errors import LeaseLost, StoreDown
from chatagent.runtime.port import Claim, Held, Store
from chatagent.runtime.served import Served
from chatagent.runtime.slot import Slot
from chatagent.runtime.writer import TurnLog

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Active:
    """A turn that this process holds, in a Celery slot or without."""

    claim: Claim
    turn: Served
    log: TurnLog
    slot: Slot
    task: asyncio.Task[str] | None = None
    #: Its commit is on its way, and will say itself whether the lease was lost.
    committing: bool = False
    committed: bool = False
    lost: bool = False
    handing_back: bool = False
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def cancel(self, reason: str) -> None:
        """Tell the turn, and end its task."""
        self.turn.cancel.abort(reason)
        if self.task is not None:
            self.task.cancel()

    def lose(self) -> None:
        """Another worker has it."""
        self.lost = True
        self.cancel("lease lost")


class Leases:
    """The turns of this process by session id, and the heartbeat that keeps them."""

    def __init__(self, store: Store, heartbeat_s: float) -> None:
        self._store = store
        self._heartbeat_s = heartbeat_s
        self._active: dict[str, Active] = {}

    def __iter__(self) -> Iterator[Active]:
        return iter(list(self._active.values()))

    def __len__(self) -> int:
        return len(self._active)

    def get(self, session_id: str) -> Active | None:
        return self._active.get(session_id)

    def add(self, active: Active) -> None:
        """Keep the lease of a turn from here on."""
        active.log.on_held = active.turn.held
        active.log.on_lost = active.lose
        self._active[active.claim.session_id] = active

    def remove(self, active: Active) -> None:
        """The turn is over."""
        if self._active.get(active.claim.session_id) is active:
            del self._active[active.claim.session_id]
        active.done.set()

    async def run(self) -> None:
        """Renew all leases, for ever; cancel to end."""
        while True:
            await asyncio.sleep(self._heartbeat_s)
            await self.renew([active for active in self if not active.committed])

    async def renew(self, actives: list[Active]) -> None:
        """Renew these leases and tell their turns what the store says."""
        if not actives:
            return
        try:
            answers = await self._store.renew([active.claim for active in actives])
        except StoreDown:
            logger.warning("leases not renewed, Redis is away")
            return
        for active, answer in zip(actives, answers, strict=True):
            if isinstance(answer, Held):
                active.turn.held(answer)
            elif not active.committing and isinstance(answer, LeaseLost):
                active.log.lose()
