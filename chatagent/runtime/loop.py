"""Custom loops: one task per run, that is handed the run's turns and waits between them in memory alone.

To the rest of the runtime a custom agent is an agent whose `run` hands its turn to the loop and returns when the loop
says that the turn is over. So leases, recovery, the commit and all of `chat.*` are the same.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from chatagent.agent import Agent, Turn
from chatagent.agent.event import Action, Preload, UIMessage
from chatagent.agent.loop import ChatTaskPayload, CustomAgent, TurnEnd, enter_loop
from chatagent.agent.loop_message import StreamFailed
from chatagent.agent.turn import current_turn
from chatagent.errors import ConfigError
from chatagent.record import Busy, InRecord
from chatagent.runtime.loop_payload import joined, opening
from chatagent.runtime.port import Claim, Commit
from chatagent.runtime.run import Run
from chatagent.signal import AbortController, AbortSignal

logger = logging.getLogger(__name__)

#: Seconds that a loop has to clean up when it is told to end, before it is cancelled.
END_S = 5.0
#: Seconds between two looks for a message that is to join a turn, should no doorbell ring.
_LOOK_S = 5.0


class Takes(Protocol):
    """The part of a store that gives a running turn what came in behind it."""

    async def take(self, claim: Claim, busy: Collection[Busy] | None = None) -> Sequence[InRecord]: ...


@dataclass(slots=True, eq=False)
class _Handed:
    """A turn on its way through a loop."""

    turn: Turn[Any]
    claim: Claim
    context: contextvars.Context
    action: Any = None
    taken: bool = False
    #: The loop is done with it; with the error that it ends with.
    answered: asyncio.Future[BaseException | None] = field(default_factory=lambda: _future())
    #: The seq of its turn-complete.
    committed: asyncio.Future[int] = field(default_factory=lambda: _future())
    consumed: list[int] = field(default_factory=list)


class LoopRun:
    """One call of a custom agent's function (`chatagent.agent.loop.Loop`)."""

    def __init__(self, agent: CustomAgent, run: Run, first: _Handed, store: Takes) -> None:
        self.run = run
        self._agent = agent
        self._store = store
        self._cancel = AbortController()
        self._open: _Handed | None = None
        self._arrived: _Handed | None = first
        self._ending = False
        self._wake = asyncio.Event()
        #: It was given a message (or an action): the next payload brings only what is new.
        self._begun = False
        self._captured: tuple[UIMessage, BaseException] | None = None
        self._reserved: list[InRecord] = []
        self._seen: set[int] = set()
        self.task = asyncio.create_task(self._main(), name=f"loop {first.turn.chat_id}")

    # -- for the loop -------------------------------------------------------------------------------------------

    @property
    def signal(self) -> AbortSignal:
        return self._cancel.signal

    @property
    def turn(self) -> Turn[Any] | None:
        return self._open.turn if self._open is not None else None

    async def wait(self, timeout_s: float | None, signal: AbortSignal | None = None) -> ChatTaskPayload | None:
        if self._open is not None:
            await self.finish()
        handed = await self._arrival(timeout_s, signal)
        return None if handed is None else self._begin(handed)

    async def take(self, timeout_s: float | None) -> ChatTaskPayload | None:
        handed = self._open
        if handed is None:
            return await self.wait(timeout_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while True:
                    self._wake.clear()
                    if await self._reserve(handed):
                        break
                    with suppress(TimeoutError):
                        # A doorbell may be lost.
                        await asyncio.wait_for(self._wake.wait(), _LOOK_S)
        if not self._reserved:
            return None
        record = self._reserved.pop(0)
        handed.consumed.append(record.seq)
        payload = joined(handed.turn, record)
        if payload.message is not None:
            handed.turn.history.set([*handed.turn.ui_messages, payload.message])
        return payload

    async def peek(self) -> ChatTaskPayload | None:
        if self._open is not None:
            return joined(self._open.turn, self._reserved[0]) if await self._reserve(self._open) else None
        return None if self._arrived is None else self._payload(self._arrived)

    def captured(self, message: UIMessage, error: BaseException | None) -> None:
        self._captured = None if error is None else (message, error)

    async def finish(self, error: BaseException | None = None) -> TurnEnd:
        handed, self._open = self._open, None
        if handed is None:
            raise ConfigError("there is no open turn: it was ended already, once per message is enough")
        if error is None and self._captured is not None and await handed.turn.pipe(None) == self._captured[0]:
            # A source failed, and nothing was said after it.
            error = self._captured[1]
        if isinstance(error, StreamFailed):
            # Its text was made for clients.
            handed.turn.write({"type": "error", "errorText": str(error)})
            error = None
        if not handed.answered.done():
            handed.answered.set_result(error)
        seq = await handed.committed
        self._reserved.clear()
        return TurnEnd(str(seq), str(handed.claim.record.seq))

    # -- for the runtime ----------------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether it takes no further turn."""
        return self._ending or self.task.done()

    @property
    def idle(self) -> bool:
        """Whether it has no turn, open or on its way."""
        return self._open is None and self._arrived is None

    def hand(self, handed: _Handed) -> None:
        """Give it a turn."""
        self._arrived = handed
        self._wake.set()

    def ring(self) -> None:
        """Something arrived in the inbox."""
        self._wake.set()

    def end(self) -> None:
        """Let it end: it gets no further message."""
        self._ending = True
        self._wake.set()

    def kill(self) -> None:
        """End it now."""
        self._ending = True
        self._cancel.abort("ended")
        self.task.cancel()

    async def ended(self, timeout_s: float) -> None:
        """Wait until it has ended; what does not in time is cancelled."""
        if asyncio.current_task() is self.task:
            return
        _, late = await asyncio.wait([self.task], timeout=timeout_s)
        if late:
            self.kill()

    async def _main(self) -> None:
        enter_loop(self)
        first = self._arrived
        assert first is not None
        await self._agent.start(self._begin(first), self.signal)

    async def _arrival(self, timeout_s: float | None, signal: AbortSignal | None) -> _Handed | None:
        remove = signal.add_listener(self._wake.set) if signal is not None else lambda: None
        try:
            async with asyncio.timeout(timeout_s):
                while self._arrived is None and not self._ending and not (signal is not None and signal.aborted):
                    self._wake.clear()
                    await self._wake.wait()
        except TimeoutError:
            logger.debug("loop waited long enough")
        finally:
            remove()
        if self._ending or (signal is not None and signal.aborted):
            return None
        return self._arrived

    def _begin(self, handed: _Handed) -> ChatTaskPayload:
        """Open a turn: from here on the loop runs in its context."""
        self._arrived, self._open, handed.taken = None, handed, True
        self._captured = None
        for variable, value in handed.context.items():
            variable.set(value)
        payload = self._payload(handed)
        self._begun = self._begun or payload.trigger != "preload"
        self._seen = set()
        return payload

    def _payload(self, handed: _Handed) -> ChatTaskPayload:
        return opening(handed.turn, handed.claim, handed.action, whole=not self._begun)

    async def _reserve(self, handed: _Handed) -> bool:
        if not self._reserved:
            records = [record for record in await self._store.take(handed.claim) if record.seq not in self._seen]
            self._seen |= {record.seq for record in records}
            self._reserved += [record for record in records if record.kind == "message"]
        return bool(self._reserved)


class Loops:
    """The loops of a process, by session. `on_over` is called with a session whose loop ended between two turns."""

    def __init__(self, store: Takes, on_over: Callable[[str], None]) -> None:
        self._store = store
        self._on_over = on_over
        self._custom: set[str] = set()
        self._loops: dict[str, LoopRun] = {}
        self._entered: dict[str, tuple[Run, Claim]] = {}
        self._handed: dict[str, _Handed] = {}

    def serving(self, agent: Agent[Any]) -> Agent[Any]:
        """What the runtime sees of an agent: a custom one is served by its loop."""
        if not isinstance(agent, CustomAgent):
            return agent

        async def run(turn: Turn[Any]) -> None:
            await self._serve(agent, turn, None)

        async def preload(event: Preload[Any]) -> None:
            await self._serve(agent, current_turn(), None)

        async def act(event: Action[Any, Any]) -> None:
            await self._serve(agent, current_turn(), event.action)

        # A loop stays in memory for as long as it waits.
        idle_s = agent.options.idle_timeout_s or agent.options.turn_timeout_s
        served: Agent[Any] = Agent(agent.id, run, replace(agent.options, idle_timeout_s=idle_s))
        self._custom.add(agent.id)
        served.add("on_preload", preload)
        served.add("on_action", act)
        return served

    def enter(self, run: Run, claim: Claim) -> None:
        """A turn of this run begins. A loop that another process has overtaken ends."""
        run.bound = claim.agent in self._custom
        self._entered[claim.session_id] = (run, claim)
        loop = self._loops.get(claim.session_id)
        if loop is not None and loop.run is not run:
            loop.end()

    def leave(self, claim: Claim, *, committed: bool) -> None:
        """The turn is over here; the loop of one that was not committed ends with it."""
        self._entered.pop(claim.session_id, None)
        self._handed.pop(claim.session_id, None)
        if not committed and (loop := self._loops.get(claim.session_id)) is not None:
            loop.kill()

    def complete(self, commit: Commit) -> Commit:
        """The commit with what the loop took in beside the claimed message."""
        handed = self._handed.get(commit.claim.session_id)
        if handed is None or not handed.consumed:
            return commit
        return replace(commit, consumed=(*commit.consumed, *handed.consumed))

    def committed(self, commit: Commit, seq: int) -> None:
        """Tell the loop that its turn is stored; one whose run ends with the turn gets no other."""
        handed = self._handed.pop(commit.claim.session_id, None)
        loop = self._loops.get(commit.claim.session_id)
        if loop is not None and commit.run_s <= 0:
            loop.end()
        if handed is not None and not handed.committed.done():
            handed.committed.set_result(seq)

    def ring(self, session_id: str) -> None:
        """Something arrived in the inbox."""
        if (loop := self._loops.get(session_id)) is not None:
            loop.ring()

    def is_over(self, agent_id: str, session_id: str) -> bool:
        """Whether a custom agent's loop of this session has ended."""
        loop = self._loops.get(session_id)
        return agent_id in self._custom and (loop is None or loop.over)

    async def end(self, session_id: str) -> None:
        """End the loop of a session, if there is one."""
        loop = self._loops.get(session_id)
        if loop is not None:
            loop.end()
            await loop.ended(END_S)

    async def close(self, timeout_s: float) -> None:
        """End all loops."""
        loops = list(self._loops.values())
        for loop in loops:
            loop.end()
        await asyncio.gather(*[loop.ended(timeout_s) for loop in loops])
        await asyncio.gather(*[loop.task for loop in loops], return_exceptions=True)

    async def _serve(self, agent: CustomAgent, turn: Turn[Any], action: Any) -> None:
        """Hand a turn to its loop, or to a new one; returns when the turn is over. Raises what the loop raised."""
        run, claim = self._entered[turn.session_id]
        handed = self._handed[turn.session_id] = _Handed(turn, claim, contextvars.copy_context(), action)
        loop = self._loops.get(turn.session_id)
        try:
            while True:
                if loop is None or loop.over:
                    loop = self._start(agent, run, handed)
                else:
                    loop.hand(handed)
                waited: list[asyncio.Future[Any]] = [handed.answered, loop.task]
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
                if handed.answered.done() or handed.taken:
                    break
        except asyncio.CancelledError:
            turn.control.end_run()
            if loop is not None:
                loop.kill()
                await asyncio.wait([loop.task], timeout=END_S)
            raise
        if handed.answered.done():
            if (error := handed.answered.result()) is not None:
                raise error
            return
        # It ended with the turn: so does the run.
        turn.control.end_run()
        if loop.task.cancelled():
            raise RuntimeError("the loop was cancelled")
        loop.task.result()

    def _start(self, agent: CustomAgent, run: Run, first: _Handed) -> LoopRun:
        loop = self._loops[run.session_id] = LoopRun(agent, run, first, self._store)
        loop.task.add_done_callback(lambda _: self._ended(run.session_id, loop))
        return loop

    def _ended(self, session_id: str, loop: LoopRun) -> None:
        if self._loops.get(session_id) is loop:
            del self._loops[session_id]
        error = None if loop.task.cancelled() else loop.task.exception()
        if not loop.idle:
            return
        if error is not None:
            logger.error("loop failed between two turns", exc_info=error, extra={"session": session_id})
        if session_id not in self._loops:
            self._on_over(session_id)


def _future() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()
