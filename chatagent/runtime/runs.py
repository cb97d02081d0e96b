"""The runs that a process keeps warm, and how they leave it: suspended when they were idle for long enough."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from chatagent.errors import StoreDown
from chatagent.runtime.port import Claim, Store
from chatagent.runtime.run import Run

logger = logging.getLogger(__name__)

#: Runs that one process keeps warm at most; the one that waits longest makes room.
MAX_WARM = 5000
#: Runs that a process remembers to have had.
_MAX_KNOWN = 50_000
#: Seconds that the hooks of one suspended run may take.
SUSPEND_S = 10.0

#: Called when a run leaves the process for a while: runs its author's hooks.
OnSuspend = Callable[[Run], Awaitable[None]]


@dataclass(slots=True, eq=False)
class _Parked:
    run: Run
    expiry: asyncio.TimerHandle | None = None


class Runs:
    """The warm runs of this process."""

    def __init__(self, store: Store, on_suspend: OnSuspend, *, max_warm: int = MAX_WARM) -> None:
        self._store = store
        self._on_suspend = on_suspend
        self._max_warm = max_warm
        #: Longest parked first.
        self._parked: dict[str, _Parked] = {}
        self._leaving: dict[str, asyncio.Task[None]] = {}
        #: Session id → the run that was here last.
        self._known: OrderedDict[str, str] = OrderedDict()

    def known_epoch(self, session_id: str) -> int:
        """The epoch whose history is still held here; -1 for none."""
        parked = self._parked.get(session_id)
        return parked.run.epoch if parked is not None else -1

    async def ready(self, session_id: str) -> None:
        """Wait while the run of this session is being suspended."""
        leaving = self._leaving.get(session_id)
        if leaving is not None:
            await asyncio.wait([leaving])

    def enter(self, claim: Claim) -> Run:
        """The run that a claimed turn belongs to: the warm one if its epoch is unbroken, else as the claim tells it."""
        warm = self._take(claim.session_id)
        history = claim.history
        if warm is not None and history is None:
            if warm.run_id == claim.run_id and claim.run_state != "suspended":
                warm.epoch = claim.epoch
                return warm
            # A run that ended while its history was still held: the next one starts from there.
            history = warm.history
        run = Run(
            session_id=claim.session_id,
            run_id=claim.run_id,
            epoch=claim.epoch,
            history=history or [],
            continuation=claim.previous_run_id is not None or (claim.run_state == "new" and claim.turn > 0),
            previous_run_id=claim.previous_run_id,
        )
        run.restore(claim)
        run.fresh = self._known.get(claim.session_id) != claim.run_id
        self._remember(run)
        return run

    def park(self, run: Run, idle_timeout_s: float) -> None:
        """Keep a run warm after its turn; then, at once for 0, it is suspended."""
        if run.fresh:
            # Its on_boot did not get through: it is due again.
            self._known.pop(run.session_id, None)
        parked = self._parked[run.session_id] = _Parked(run)
        if idle_timeout_s <= 0:
            self._start_leaving([run.session_id])
            return
        loop = asyncio.get_running_loop()
        parked.expiry = loop.call_later(idle_timeout_s, self._start_leaving, [run.session_id])
        if len(self._parked) > self._max_warm:
            self._start_leaving([next(iter(self._parked))])

    async def suspend(self, session_id: str) -> None:
        """Suspend a parked run now, as when it was idle for long enough."""
        self._start_leaving([session_id])
        await self.ready(session_id)

    async def drop(self, session_id: str) -> None:
        """Forget a run that is over, without hooks; its session's next message goes to any worker."""
        if self._take(session_id) is not None:
            await self._tell_store([session_id], over=True)

    async def close(self, timeout_s: float) -> None:
        """Suspend all runs, as far as their hooks get in `timeout_s`; the store is told of all of them."""
        leaving = [parked.run for parked in self._parked.values()]
        hooks = [asyncio.ensure_future(self._run_hooks(run)) for run in leaving]
        for run in leaving:
            self._take(run.session_id)
        if hooks:
            _, late = await asyncio.wait(hooks, timeout=timeout_s)
            for hook in late:
                hook.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for over in (False, True):
            await self._tell_store([run.session_id for run in leaving if run.bound == over], over=over)
        if self._leaving:
            await asyncio.wait(list(self._leaving.values()), timeout=timeout_s)

    def _start_leaving(self, session_ids: Iterable[str]) -> None:
        for session_id in session_ids:
            run = self._take(session_id)
            if run is not None:
                task = asyncio.create_task(self._leave(run), name=f"suspend {session_id}")
                self._leaving[session_id] = task
                task.add_done_callback(lambda done, session_id=session_id: self._left(session_id, done))  # type: ignore[misc]

    async def _leave(self, run: Run) -> None:
        await self._run_hooks(run)
        await self._tell_store([run.session_id], over=run.bound)

    def _left(self, session_id: str, task: asyncio.Task[None]) -> None:
        if self._leaving.get(session_id) is task:
            del self._leaving[session_id]

    async def _run_hooks(self, run: Run) -> None:
        try:
            async with asyncio.timeout(SUSPEND_S):
                await self._on_suspend(run)
        except Exception:
            logger.exception("on_chat_suspend failed", extra={"session": run.session_id})

    async def _tell_store(self, session_ids: list[str], *, over: bool) -> None:
        if not session_ids:
            return
        try:
            await self._store.suspend(session_ids, over=over)
        except StoreDown:
            logger.warning("warm chats not given up, Redis is away; the sweeper will move them")

    def _take(self, session_id: str) -> Run | None:
        parked = self._parked.pop(session_id, None)
        if parked is None:
            return None
        if parked.expiry is not None:
            parked.expiry.cancel()
        return parked.run

    def _remember(self, run: Run) -> None:
        self._known[run.session_id] = run.run_id
        self._known.move_to_end(run.session_id)
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)
