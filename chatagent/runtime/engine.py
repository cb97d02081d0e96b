"""The engine of a worker process: every turn it runs, their leases, warm runs, the sweeper and the way out."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chatagent.agent import Agent
from chatagent.errors import LeaseLost, StoreDown
from chatagent.log import bind
from chatagent.runtime.port import Claim, Commit, Committed, Dispatch, Held, Settled, Store
from chatagent.runtime.run import Run, Runs
from chatagent.runtime.turn import AnsweredTurn, TurnOptions, give_up
from chatagent.runtime.writer import Flusher, TurnLog

logger = logging.getLogger(__name__)

#: Seconds between attempts while Redis is away.
_RETRY_S = 0.5


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How a worker process runs turns."""

    #: Queue of agents that name none.
    queue: str = "turns"
    #: Seconds between renewals of all leases; a third of the lease leaves room for two that fail.
    heartbeat_s: float = 5.0
    #: Seconds between looks for dead turns and lost tasks.
    sweep_s: float = 1.0
    #: Seconds a run stays warm after its turn.
    idle_timeout_s: float = 30.0
    #: Seconds that running turns have to end after SIGTERM, before they are handed back.
    grace_s: float = 20.0
    turn: TurnOptions = field(default_factory=TurnOptions)


@dataclass(slots=True, eq=False)
class _Active:
    """A turn that this process holds."""

    claim: Claim
    turn: AnsweredTurn
    log: TurnLog
    task: asyncio.Task[None]
    committed: bool = False
    lost: bool = False
    handing_back: bool = False
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Engine:
    """Runs turns on one event loop. All methods are called on that loop."""

    def __init__(
        self, store: Store, agents: Mapping[str, Agent[Any]], dispatch: Dispatch, options: EngineOptions
    ) -> None:
        self.agents = agents
        self._store = store
        self._dispatch = dispatch
        self._options = options
        self._flusher = Flusher(store)
        self._runs = Runs()
        self._active: dict[str, _Active] = {}
        self._background: list[asyncio.Task[None]] = []
        self._draining = False

    def start(self) -> None:
        """Begin the work behind the turns: flusher, heartbeat, sweeper."""
        loops = {"flusher": self._flusher.run, "heartbeat": self._heartbeat, "sweeper": self._sweep}
        self._background = [asyncio.create_task(loop(), name=name) for name, loop in loops.items()]

    async def stop(self) -> None:
        """Let running turns end within the grace period, hand back those that do not, and end."""
        self._draining = True
        try:
            async with asyncio.timeout(self._options.grace_s):
                while self._active:
                    await next(iter(self._active.values())).done.wait()
        except TimeoutError:
            await self._hand_back_all()
        await self._cool_down()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    async def run_turn(self, agent_id: str, session_id: str) -> str:
        """Answer the oldest unread message of a session, if it is ours to answer; returns how that ended.

        Duplicate, late and orphaned tasks end here at once.
        """
        before = self._active.get(session_id)
        if before is not None:
            if not before.committed:
                return "held"
            # Its last hooks still run: turns of one chat do not overlap.
            await before.done.wait()
        if self._draining:
            # We are leaving: another worker gets the task.
            await self._send(Settled("queued", agent_id, self._queue(agent_id)), session_id)
            return "passed on"
        claim = await self._claim(session_id)
        if claim is None:
            return "nothing to do"
        with bind(session=claim.session_id, chat=claim.chat_id, turn=claim.turn):
            return await self._run_claimed(claim)

    def on_bell(self, kind: str, session_id: str) -> None:
        """A doorbell rang for a session that we may hold: look at the truth now, not at the next heartbeat."""
        active = self._active.get(session_id)
        if active is not None and kind in ("stop", "close"):
            self._spawn(self._renew([active]))

    async def _cool_down(self) -> None:
        """Let the next messages of warm chats go to other workers at once."""
        try:
            await self._store.cool(self._runs.clear())
        except StoreDown:
            logger.warning("warm chats not given up, Redis is away; the sweeper will move them")

    # -- one turn -----------------------------------------------------------------------------------------------

    async def _claim(self, session_id: str) -> Claim | None:
        known = self._runs.known_epoch(session_id)
        while True:
            try:
                return await self._store.claim(session_id, known_epoch=known)
            except StoreDown:
                logger.warning("claim failed, Redis is away; trying again")
                await asyncio.sleep(_RETRY_S)

    async def _run_claimed(self, claim: Claim) -> str:
        agent = self.agents.get(claim.agent)
        if agent is None:
            logger.error("no such agent in this worker", extra={"agent": claim.agent})
            await self._store.hand_back(claim)
            return "unknown agent"
        run = self._runs.enter(claim)
        if claim.attempt > self._options.turn.max_attempts + 1:
            # Even ending the turn as failed went wrong: something in it breaks our own code.
            await self._commit(give_up(claim))
            logger.error("turn given up")
            return "failed"
        log = TurnLog(self._flusher, claim, max_chunk_bytes=self._options.turn.max_chunk_bytes)
        turn = AnsweredTurn(claim, agent, run, log, self._options.turn, self._store)
        task = asyncio.current_task()
        assert task is not None
        active = _Active(claim, turn, log, task)
        log.on_held = lambda held: self._held(active, held)
        log.on_lost = lambda: self._lost(active)
        self._active[claim.session_id] = active
        try:
            return await self._finish(active, run)
        except LeaseLost:
            logger.info("lease lost, another worker has the turn")
            return "lost"
        except asyncio.CancelledError:
            if active.lost:
                return "lost"
            if active.handing_back:
                return "handed back"
            raise
        finally:
            del self._active[claim.session_id]
            active.done.set()

    async def _finish(self, active: _Active, run: Run) -> str:
        turn, claim = active.turn, active.claim
        await turn.answer()
        await active.log.settle()
        idle_s = self._idle_timeout_s(turn.agent)
        commit = turn.commit(warm_s=0 if self._draining else idle_s)
        committed = await self._commit(commit)
        active.committed = True
        logger.info("turn ended", extra={"outcome": turn.outcome, "attempt": claim.attempt})
        await turn.complete(str(committed.seq))
        self._runs.park(run, idle_s)
        if committed.next.state == "queued":
            await self._send(committed.next, claim.session_id)
        return turn.outcome

    async def _commit(self, commit: Commit) -> Committed:
        while True:
            try:
                return await self._store.commit(commit)
            except StoreDown:
                logger.warning("commit failed, Redis is away; trying again")
                await asyncio.sleep(_RETRY_S)

    def _queue(self, agent_id: str) -> str:
        agent = self.agents.get(agent_id)
        return (agent.options.queue if agent is not None else None) or self._options.queue

    def _idle_timeout_s(self, agent: Agent[Any]) -> float:
        own = agent.options.idle_timeout_s
        return self._options.idle_timeout_s if own is None else own

    # -- leases -------------------------------------------------------------------------------------------------

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(self._options.heartbeat_s)
            await self._renew([active for active in self._active.values() if not active.committed])

    async def _renew(self, actives: list[_Active]) -> None:
        if not actives:
            return
        try:
            answers = await self._store.renew([active.claim for active in actives])
        except StoreDown:
            logger.warning("leases not renewed, Redis is away")
            return
        for active, answer in zip(actives, answers, strict=True):
            if isinstance(answer, Held):
                self._held(active, answer)
            elif not active.committed:
                active.log.lose()

    def _held(self, active: _Active, held: Held) -> None:
        if held.stopped:
            active.turn.stop.abort("stopped")

    def _lost(self, active: _Active) -> None:
        active.lost = True
        active.turn.cancel.abort("lease lost")
        active.task.cancel()

    # -- what others left ---------------------------------------------------------------------------------------

    async def _sweep(self) -> None:
        while True:
            # Jitter keeps the workers of a fleet from looking all at once.
            await asyncio.sleep(self._options.sweep_s * random.uniform(0.75, 1.25))
            try:
                for session_id in await self._store.overdue():
                    settled = await self._store.settle(session_id)
                    if settled.state == "queued":
                        logger.warning("session picked up by the sweeper", extra={"session": session_id})
                        await self._send(settled, session_id)
            except StoreDown:
                logger.warning("sweep failed, Redis is away")

    async def _send(self, settled: Settled, session_id: str) -> None:
        """Enqueue a turn; when the broker does not take it, the sweeper will come back to it."""
        try:
            await self._dispatch(settled.agent, session_id, settled.queue)
        except Exception:
            logger.exception("turn not enqueued; the sweeper tries again")

    async def _hand_back_all(self) -> None:
        for active in list(self._active.values()):
            if active.committed:
                continue
            active.handing_back = True
            active.turn.cancel.abort("worker shutdown")
            active.task.cancel()
            await active.done.wait()
            try:
                settled = await self._store.hand_back(active.claim)
            except StoreDown:
                logger.warning("turn not handed back, Redis is away; its lease will lapse")
                continue
            logger.info("turn handed back", extra={"session": active.claim.session_id})
            if settled.state == "queued":
                await self._send(settled, active.claim.session_id)

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._background.append(task)
        task.add_done_callback(self._background.remove)
