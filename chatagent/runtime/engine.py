"""The engine of a worker process: every turn it runs, from its claim to its commit, and the way out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from chatagent.agent import Agent
from chatagent.agent.task import Task
from chatagent.agent.task_run import enter_launcher, enter_outlet
from chatagent.cancel import cancel
from chatagent.errors import LeaseLost, StoreDown, TurnTimeout
from chatagent.log import bind
from chatagent.record import Busy
from chatagent.runtime.admission import Admissions
from chatagent.runtime.child import Children
from chatagent.runtime.ending import give_up
from chatagent.runtime.kind import Kind, serve
from chatagent.runtime.lease import Active, Leases
from chatagent.runtime.loop import Loops
from chatagent.runtime.patience import patiently
from chatagent.runtime.port import Claim, Commit, Committed, Dispatch, Settled, Store
from chatagent.runtime.run import Run
from chatagent.runtime.runs import Runs
from chatagent.runtime.served import Served
from chatagent.runtime.slot import Slot, enter_slot
from chatagent.runtime.sweeper import Sweeper
from chatagent.runtime.turn import TurnOptions
from chatagent.runtime.watchdog import Watchdog
from chatagent.runtime.writer import Flusher, TurnLog
from chatagent.thread import enter_home

logger = logging.getLogger(__name__)

#: Seconds that parked runs have to be suspended at a shutdown.
_SUSPEND_S = 5.0


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How a worker process runs turns."""

    #: Queue of agents that name none.
    queue: str = "turns"
    #: Seconds between renewals of all leases; a third of the lease leaves room for two that fail.
    heartbeat_s: float = 5.0
    #: Seconds between looks for dead turns and lost tasks.
    sweep_s: float = 2.0
    #: Seconds that running turns have to end after SIGTERM, before they are handed back.
    grace_s: float = 25.0
    #: Seconds that an author's code may block the event loop until its process is taken for dead.
    blocked_s: float = 60.0
    turn: TurnOptions = field(default_factory=TurnOptions)


class Engine:
    """Runs turns on one event loop. All methods are called on that loop."""

    def __init__(self, store: Store, agents: Mapping[str, Kind], dispatch: Dispatch, options: EngineOptions) -> None:
        self._loops = Loops(store, self._loop_over)
        #: What serves each agent: itself, or a loop in its stead.
        self.agents = {
            agent_id: agent if isinstance(agent, Task) else self._loops.serving(agent)
            for agent_id, agent in agents.items()
        }
        self._store = store
        self._options = options
        self._flusher = Flusher(store)
        self._runs = Runs(store, self._suspend)
        self._leases = Leases(store, options.heartbeat_s)
        self._watchdog = Watchdog(self._leases, store, options.heartbeat_s, options.blocked_s)
        self._sweeper = Sweeper(store, dispatch, options.sweep_s)
        self._admissions = Admissions(store, self._sweeper.send)
        self._children = Children(store.children, dispatch, options.queue)
        self._background: list[asyncio.Task[None]] = []
        #: Turn tasks that ask for their record.
        self._claiming: set[asyncio.Task[Any]] = set()
        self._draining = False

    def start(self) -> None:
        """Begin the work behind the turns: flusher, heartbeat, sweeper, watchdog."""
        loops = {
            "flusher": self._flusher.run,
            "heartbeat": self._leases.run,
            "sweeper": self._sweeper.run,
            "watchdog": self._watchdog.run,
        }
        self._background = [asyncio.create_task(loop(), name=name) for name, loop in loops.items()]

    async def stop(self) -> None:
        """Let running turns end within the grace period, hand back those that do not, and end."""
        self._draining = True
        if self._claiming:
            # What they are given now, they hand back.
            await asyncio.wait(self._claiming, timeout=_SUSPEND_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._options.grace_s):
                while active := next(iter(self._leases), None):
                    await active.done.wait()
        await self._hand_back_all()
        await self._runs.close(_SUSPEND_S)
        await self._loops.close(_SUSPEND_S)
        await cancel(self._background)
        # What a bell began meanwhile is short.
        await asyncio.gather(*self._background, return_exceptions=True)

    async def run_turn(self, agent_id: str, session_id: str) -> str:
        """Serve the oldest unread record of a session, if it is ours to serve; returns how that ended.

        Duplicate, late and orphaned tasks end here at once. A turn that gives its slot back goes on after this.
        """
        while before := self._leases.get(session_id):
            if not before.committed:
                return "held"
            # Its last hooks still run: turns of one chat do not overlap.
            await before.done.wait()
        await self._runs.ready(session_id)
        if self._draining:
            # We are leaving: another worker gets the task.
            await self._sweeper.send(Settled("queued", agent_id, self._queue(agent_id)), session_id)
            return "passed on"
        slot = Slot()
        turn = asyncio.create_task(self._turn(agent_id, session_id, slot), name=f"turn task {session_id}")
        self._claiming.add(turn)
        turn.add_done_callback(self._claiming.discard)
        try:
            waited: list[asyncio.Future[Any]] = [turn, slot.freed]
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            turn.cancel()
            raise
        if turn.done():
            return turn.result()
        self._keep(turn)
        return "parked"

    def on_bell(self, kind: str, session_id: str) -> None:
        """A doorbell rang for a session that we may hold: look at the truth now, not at the next heartbeat."""
        active = self._leases.get(session_id)
        if active is None:
            return
        if kind in ("stop", "close"):
            self._spawn(self._leases.renew([active]))
        elif kind in ("message", "inject"):
            active.turn.on_message()
            self._loops.ring(session_id)

    async def suspend(self, session_id: str) -> None:
        """Let the warm run of a session leave this process now, as when it was idle for long enough."""
        await self._runs.suspend(session_id)

    async def renew(self) -> None:
        """Renew all leases now: how a silent zombie learns that it lost its own."""
        await self._leases.renew([active for active in self._leases if not active.committed])

    # -- one turn -----------------------------------------------------------------------------------------------

    async def _turn(self, agent_id: str, session_id: str, slot: Slot) -> str:
        agent = self.agents.get(agent_id)
        limit = agent.options.concurrency_limit if agent is not None else None
        if limit is None:
            return await self._claim_and_run(agent, session_id, slot) or "nothing to do"
        if not await self._admissions.enter(agent_id, session_id, limit):
            return "waiting for others"
        ended = await self._claim_and_run(agent, session_id, slot)
        if ended is None:
            await self._admissions.refuse(agent_id, session_id, self._queue(agent_id))
        elif ended != "lost":
            await self._admissions.leave(agent_id, session_id, self._queue(agent_id))
        return ended or "nothing to do"

    async def _claim_and_run(self, agent: Kind | None, session_id: str, slot: Slot) -> str | None:
        """How the turn ended; None when there was none."""
        busy = agent.options.busy if isinstance(agent, Agent) else "enqueue"
        claim = await self._claim(session_id, busy)
        if claim is None:
            return None
        if self._draining:
            await self._leave(claim)
            return "handed back"
        task = asyncio.current_task()
        assert task is not None
        self._claiming.discard(task)
        enter_slot(slot)
        try:
            with bind(session=claim.session_id, chat=claim.chat_id, turn=claim.turn):
                return await self._claimed(claim, slot)
        except LeaseLost:
            logger.info("lease lost, another worker has the turn", extra={"session": session_id})
            return "lost"

    async def _claim(self, session_id: str, busy: Busy) -> Claim | None:
        known = self._runs.known_epoch(session_id)
        return await patiently(lambda: self._store.claim(session_id, known_epoch=known, busy=busy), "claim failed")

    async def _claimed(self, claim: Claim, slot: Slot) -> str:
        agent = self.agents.get(claim.agent)
        if agent is None:
            logger.error("no such agent in this worker", extra={"agent": claim.agent})
            await self._hand_back(claim)
            return "unknown agent"
        run = self._runs.enter(claim)
        self._loops.enter(run, claim)
        options = self._options.turn
        if claim.attempt > max(options.max_attempts, agent.options.max_attempts or 0) + 1:
            # Even ending the turn as failed went wrong: something in it breaks our own code.
            logger.error("turn given up")
            return await self._follow(await self._commit(give_up(claim)), claim, "failed")
        log = TurnLog(self._flusher, claim, max_chunk_bytes=options.max_chunk_bytes)
        enter_home()
        enter_launcher(self._children)
        enter_outlet(log.send_raw)
        turn = serve(claim, agent, run, log, options, self._store)
        active = Active(claim, turn, log, slot, asyncio.current_task())
        self._leases.add(active)
        try:
            return await self._finish(active, run, agent.options.max_duration_s)
        except asyncio.CancelledError:
            if active.lost:
                return "lost"
            if active.handing_back:
                return "handed back"
            raise
        finally:
            self._loops.leave(claim, committed=active.committed)
            self._leases.remove(active)

    async def _finish(self, active: Active, run: Run, max_duration_s: float | None) -> str:
        turn, claim = active.turn, active.claim
        with _limited(turn, max_duration_s):
            await turn.answer()
        await active.log.settle()
        commit = self._loops.complete(turn.commit(warm_s=0 if self._draining else turn.idle_s))
        active.committing = True
        committed = await self._commit(commit)
        active.committed = True
        logger.info("turn ended", extra={"outcome": turn.outcome, "attempt": claim.attempt})
        self._loops.committed(commit, committed.seq)
        await turn.complete(str(committed.seq))
        if turn.run_s > 0:
            self._runs.park(run, turn.idle_s if commit.warm_s > 0 else 0)
            if self._loops.is_over(claim.agent, claim.session_id):
                await self._runs.drop(claim.session_id)
        return await self._follow(committed, claim, turn.outcome)

    async def _commit(self, commit: Commit) -> Committed:
        return await patiently(lambda: self._store.commit(commit), "commit failed")

    async def _follow(self, committed: Committed, claim: Claim, outcome: str) -> str:
        """Enqueue what waits behind a turn."""
        if committed.next.state == "queued":
            await self._sweeper.send(committed.next, claim.session_id)
        return outcome

    def _queue(self, agent_id: str) -> str:
        agent = self.agents.get(agent_id)
        return (agent.options.queue if agent is not None else None) or self._options.queue

    # -- the ways out -------------------------------------------------------------------------------------------

    async def _suspend(self, run: Run) -> None:
        await self._loops.end(run.session_id)
        if run.leave is not None:
            await run.leave()

    def _loop_over(self, session_id: str) -> None:
        """A loop ended between two turns: the next message starts another, in any worker."""
        self._spawn(self._runs.drop(session_id))

    async def _hand_back_all(self) -> None:
        await asyncio.gather(*[self._pass_on(active) for active in self._leases if not active.committed])

    async def _pass_on(self, active: Active) -> None:
        active.handing_back = True
        active.cancel("worker shutdown")
        await active.done.wait()
        if not active.committed:
            await self._leave(active.claim)

    async def _leave(self, claim: Claim) -> None:
        """Let another worker do this turn."""
        settled = await self._hand_back(claim)
        if settled is not None and settled.state == "queued":
            await self._sweeper.send(settled, claim.session_id)

    async def _hand_back(self, claim: Claim) -> Settled | None:
        try:
            settled = await self._store.hand_back(claim)
        except StoreDown:
            logger.warning("turn not handed back, Redis is away; its lease will lapse")
            return None
        logger.info("turn handed back", extra={"session": claim.session_id})
        return settled

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._keep(asyncio.create_task(work))

    def _keep(self, task: asyncio.Task[Any]) -> None:
        """Let a task go on by itself."""
        self._background.append(task)
        task.add_done_callback(self._kept)

    def _kept(self, task: asyncio.Task[Any]) -> None:
        self._background.remove(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("task failed in the background", exc_info=error)


@contextmanager
def _limited(turn: Served, max_duration_s: float | None) -> Iterator[None]:
    """Let a turn expire that takes longer."""
    if max_duration_s is None:
        yield
        return
    loop = asyncio.get_running_loop()
    handle = loop.call_later(max_duration_s, turn.expire, TurnTimeout(max_duration_s))
    try:
        yield
    finally:
        handle.cancel()
