"""A deployment in one process: workers that can be killed, a broker that loses nothing, and a gateway's connections."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from chatagent.agent.local import Local, give_locals
from chatagent.ids import new_id
from chatagent.llm.stand_in import enter_stand_in
from chatagent.redis.backend import RedisBackend
from chatagent.redis.session import Session
from chatagent.runtime.engine import EngineOptions
from chatagent.runtime.kind import Kind, by_id
from chatagent.testing.hold import Holds
from chatagent.testing.log import Logs
from chatagent.testing.model import ScriptedModel
from chatagent.testing.process import Process, fresh_context, settle
from chatagent.testing.stage import current_owner, shared

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds between two looks at a turn that goes on without a slot.
_LOOK_S = 0.002
#: Seconds for a worker to start or to end.
_CONTROL_S = 30.0
#: Seconds between two looks whether anything may still come to a hold.
_HELD_LOOK_S = 0.05
#: Keys that are deleted at a time.
_PAGE = 1000


class NotAnswered(AssertionError):
    """What a test waits for did not come; says what holds it up."""


class Locals:
    """`chat.local` values that the test puts in: `chat.locals[user] = User(…)`."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def __setitem__(self, local: Local[T], value: T) -> None:
        self.values[local.local_id] = value

    def __getitem__(self, local: Local[T]) -> T:
        value: T = self.values[local.local_id]
        return value


class World:
    """Everything that the chats of one test share."""

    def __init__(self, kinds: Iterable[Kind], options: EngineOptions, *, redis_url: str, timeout_s: float) -> None:
        self.prefix = f"test-{new_id()}"
        self.timeout_s = timeout_s
        self.options = options
        self.locals = Locals()
        self.kinds = by_id(kinds)
        self.backend = RedisBackend(redis_url, self.prefix)
        self.gateway = self.backend.open_gateway()
        self.holds = Holds(lambda: settle(lambda: self._all))
        self.model = ScriptedModel(self.holds)
        self.logs = Logs(self.gateway.outbox)
        self._loop = shared.loop
        self._all: list[Process] = []
        self._alive: list[Process] = []
        self._undelivered: list[tuple[str, str]] = []
        self._changed = threading.Condition()
        self._jobs: Counter[str] = Counter()
        self._parked: set[str] = set()

    # -- processes ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start a worker process, and give it what waits."""
        self.run(self._start)

    def restart(self) -> None:
        """Deploy: a new process starts, the old ones leave in good order."""

        async def deploy() -> None:
            await self._start()
            old, self._alive = self._alive[:-1], self._alive[-1:]
            await self._gather(process.close() for process in old)

        self.run(deploy)

    def crash(self) -> None:
        """Kill all processes; their leases lapse at once."""
        self.run(self._kill)
        keys, client = self.gateway.keys, self.gateway.client
        held: list[Any] = list(client.zrange(keys.leases, 0, -1))  # type: ignore[arg-type,unused-ignore]
        for session_id in held:
            client.hset(keys.session(session_id.decode()), "lease_until", 1)
            client.zadd(keys.leases, {session_id: 1})

    def recover(self) -> None:
        """Another process starts and finds what the dead ones left."""
        self.start()
        process = self._alive[-1]

        async def sweep() -> None:
            store = self.backend.open_worker("sweeper", "none")
            try:
                overdue = await store.overdue()
                for session_id, settled in zip(overdue, await store.settle(overdue), strict=True):
                    if settled.state == "queued":
                        await self._dispatch(settled.agent, session_id, settled.queue)
            finally:
                await store.close()

        self.run(lambda: self._with(process.owner, sweep()))

    def suspend(self, session_id: str) -> None:
        """Let a warm run leave its process."""
        for process in self._alive:
            self.run(lambda process=process: process.engine.suspend(session_id))  # type: ignore[misc]

    def ring(self, kind: str, session_id: str) -> None:
        """Tell the worker now what its doorbell would tell it in a moment."""

        async def tell() -> None:
            for process in self._alive:
                process.engine.on_bell(kind, session_id)

        self.run(tell)

    def close(self) -> None:
        """Kill what is left and delete all keys."""
        try:
            self.run(self._kill)
            client = self.gateway.client
            keys = list(client.scan_iter(f"{self.prefix}:*", count=_PAGE))
            for start in range(0, len(keys), _PAGE):
                client.unlink(*keys[start : start + _PAGE])
        finally:
            self.gateway.close()

    # -- turns --------------------------------------------------------------------------------------------------

    def send(self, agent_id: str, session_id: str) -> None:
        """Enqueue a turn."""

        async def enqueue() -> None:
            await self._dispatch(agent_id, session_id, "")

        self.run(enqueue)

    def wait_held(self) -> str:
        """Wait until something is held, and tell where; ends early when nothing runs any more. Raises: NotAnswered."""
        deadline = time.monotonic() + self.timeout_s
        while (where := self.holds.wait(_HELD_LOOK_S)) is None:
            late, busy = time.monotonic() > deadline, self._parked or any(self._jobs.values())
            if (late or not busy) and (where := self.holds.wait(0)) is None:
                self.model.check()
                state = f"within {self.timeout_s:g} s" if busy else "and nothing runs any more"
                raise NotAnswered(f"nothing was held {state}; see pauses() and pause_at()")
            if where is not None:
                break
        return where

    def wait_idle(self, session_id: str, until_seq: int = -1) -> Session:
        """Wait until a chat has answered all that it was sent, its last hooks included. Raises: NotAnswered."""
        deadline = time.monotonic() + self.timeout_s
        while True:
            with self._changed:
                done = self._changed.wait_for(lambda: not self._jobs[session_id], deadline - time.monotonic())
            session = self.gateway.sessions.get(session_id)
            if done and session.status == "idle" and session.in_cursor >= until_seq:
                break
            if not done or time.monotonic() > deadline or not self._alive:
                raise NotAnswered(self._why(session))
            time.sleep(_LOOK_S)
        if session_id in self._parked:
            self._parked.discard(session_id)
            # Its Celery task ended early; a further one waits for its last hooks.
            self.send(session.agent, session_id)
            return self.wait_idle(session_id, until_seq)
        self.model.check()
        return session

    def run(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine on the loop, with what stands in for models and locals."""

        async def work() -> T:
            self._enter()
            return await make()

        return asyncio.run_coroutine_threadsafe(work(), self._loop).result(_CONTROL_S)

    async def _start(self) -> None:
        owner = f"w{len(self._all) + 1}"
        process = Process(owner, self.kinds, self.backend, self.options, self.holds, self.logs)
        self._all.append(process)
        await self._with(owner, process.open(self._dispatch))
        self._alive.append(process)
        waiting, self._undelivered = self._undelivered, []
        for agent_id, session_id in waiting:
            self._deliver(agent_id, session_id)

    async def _kill(self) -> None:
        old, self._alive = self._alive, []
        await self._gather(process.kill() for process in old)

    def _enter(self) -> None:
        enter_stand_in(self.model)
        give_locals(self.locals.values)

    async def _with(self, name: str, work: Coroutine[Any, Any, T]) -> T:
        """Run in a context of its own."""
        return await asyncio.get_running_loop().create_task(work, name=name, context=self._context())

    def _context(self) -> Any:
        context = fresh_context()
        context.run(self._enter)
        return context

    async def _gather(self, works: Iterable[Coroutine[Any, Any, None]]) -> None:
        await asyncio.gather(*[self._with("process", work) for work in works])

    async def _dispatch(self, agent_id: str, session_id: str, queue: str) -> None:
        self._deliver(agent_id, session_id)

    def _deliver(self, agent_id: str, session_id: str) -> None:
        """What the broker does: the task goes to a live worker, or waits for one."""
        if not self._alive:
            self._undelivered.append((agent_id, session_id))
            return
        with self._changed:
            self._jobs[session_id] += 1
        process = self._alive[-1]
        context = self._context()
        context.run(_own, process)
        job = self._loop.create_task(process.engine.run_turn(agent_id, session_id), context=context)
        job.add_done_callback(lambda done: self._done(agent_id, session_id, done))

    def _done(self, agent_id: str, session_id: str, job: asyncio.Task[str]) -> None:
        if job.cancelled():
            # Its process died; what the sweeper finds after a while is delivered again at once.
            self._undelivered.append((agent_id, session_id))
        elif (error := job.exception()) is not None:
            logger.error("turn task failed", exc_info=error)
        elif job.result() == "parked":
            self._parked.add(session_id)
        with self._changed:
            self._jobs[session_id] -= 1
            self._changed.notify_all()

    def _why(self, session: Session) -> str:
        late = f" after {self.timeout_s:g} s" if self._alive else ""
        told = [f"chat {session.chat_id!r} is {session.status}{late}"]
        if held := self.holds.held:
            told.append(f"{', '.join(held)} is held: call resume(), and send with wait=False")
        if not self._alive:
            told.append("no worker lives: call recover(), and send with wait=False before it")
        return "; ".join(told)


def _own(process: Process) -> None:
    current_owner.set(process)
