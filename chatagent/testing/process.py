"""A worker process that a test can kill: a real engine on a real store, and the thread that both hang by."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from chatagent.redis.backend import RedisBackend
from chatagent.runtime.engine import Engine, EngineOptions
from chatagent.runtime.kind import Kind
from chatagent.runtime.port import Commit, Dispatch, WorkerStore
from chatagent.testing.hold import Holds
from chatagent.testing.log import Logs
from chatagent.testing.stage import current_owner

logger = logging.getLogger(__name__)

#: Seconds for the tasks of a killed process to end.
_DEATH_S = 2.0
#: Turns of the loop without a write after which nothing is under way.
_QUIET = 12


class Process:
    """Runs turns until it is closed or killed. All methods are called on the loop."""

    def __init__(
        self,
        owner: str,
        kinds: Mapping[str, Kind],
        backend: RedisBackend,
        options: EngineOptions,
        holds: Holds,
        logs: Logs,
    ) -> None:
        self.owner = owner
        self.dead = False
        self._kinds = kinds
        self._backend = backend
        self._options = options
        self._holds = holds
        self._logs = logs
        self._tasks: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()
        #: Calls of the store that are not answered yet.
        self.calls = 0

    async def open(self, dispatch: Dispatch) -> None:
        """Start the engine."""
        current_owner.set(self)
        self._store = self._backend.open_worker(self.owner, f"queue.{self.owner}")
        port = cast(WorkerStore, _Cord(self._store, self))
        self.engine = Engine(port, self._kinds, dispatch, self._options)
        self.engine.start()
        self._bells = asyncio.create_task(port.listen(self.engine.on_bell), name="doorbell")

    async def close(self) -> None:
        """Leave in good order, as at a deploy: hand back what runs, suspend what is warm."""
        await self.engine.stop()
        await self._end()

    async def kill(self) -> None:
        """Die: from here on nothing reaches Redis, and all that runs is torn off."""
        self.dead = True
        await self._end()

    def started(self, task: asyncio.Task[Any]) -> None:
        """A task was made in the context of this process; a dead one starts none."""
        self._tasks.add(task)
        if self.dead:
            task.cancel()

    async def before(self, verb: str) -> None:
        """The store is about to be asked."""
        self._breathe()
        await self._holds.reach(verb)
        self._breathe()
        self.calls += 1

    def after(self, given: Sequence[Any]) -> None:
        """The store has answered; nobody hears it when the process died meanwhile."""
        self.calls -= 1
        if given and isinstance(given[0], Commit):
            self._logs.read(given[0].claim.session_id)
        self._breathe()

    def _breathe(self) -> None:
        if self.dead:
            raise asyncio.CancelledError("the process is dead")

    async def _end(self) -> None:
        self._bells.cancel()
        deadline = asyncio.get_running_loop().time() + _DEATH_S
        ours = asyncio.current_task()
        while open_ := [task for task in self._tasks if task is not ours and not task.done()]:
            for task in open_:
                task.cancel()
            await asyncio.wait(open_, timeout=0.05)
            if asyncio.get_running_loop().time() > deadline:
                logger.warning("tasks ignore their cancellation: %s", ", ".join(task.get_name() for task in open_))
                break
        # What was cancelled and failed in its own way is nobody's concern any more.
        for task in list(self._tasks):
            if task.done() and not task.cancelled():
                task.exception()
        self.dead = True
        await self._store.close()


class _Cord:
    """A store for as long as its process lives."""

    def __init__(self, store: Any, process: Process) -> None:
        self._store = store
        self._process = process

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._store, name)
        if name == "children":
            return _Cord(value, self._process)
        if name == "listen" or not inspect.iscoroutinefunction(value):
            return value
        return self._through(name, value)

    def _through(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        process = self._process

        async def through(*args: Any, **kwargs: Any) -> Any:
            await process.before(name)
            try:
                return await call(*args, **kwargs)
            finally:
                process.after(args)

        return through


async def settle(processes: Callable[[], list[Process]]) -> None:
    """Return once all that was written is in Redis: no call is open while the loop goes round a dozen times."""
    quiet = 0
    while quiet < _QUIET:
        await asyncio.sleep(0)
        quiet = 0 if any(process.calls for process in processes()) else quiet + 1


def fresh_context() -> contextvars.Context:
    """Where a turn begins: nothing of whoever sent it, as in another process."""
    return contextvars.Context()
