"""One run of a task, as the engine serves it: called until it succeeds or may be tried no more, then its result."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any

import orjson

from chatagent.agent.local import enter_locals
from chatagent.agent.task import Task
from chatagent.agent.task_run import TaskRun, enter_task_run
from chatagent.child import Trace
from chatagent.errors import AbortTaskRun, LeaseLost, StoreDown
from chatagent.runtime.call import call, run_to_end
from chatagent.runtime.conversation import Changes
from chatagent.runtime.port import Claim, Commit, Outcome, Store
from chatagent.runtime.served import Served
from chatagent.runtime.slot import parked
from chatagent.runtime.writer import TurnLog
from chatagent.signal import AbortController, AbortSignal

logger = logging.getLogger(__name__)


class TaskTurn(Served):
    """Runs one claimed task. The session keeps `output` or `error`, and in `locals` how many attempts have failed."""

    def __init__(self, claim: Claim, task: Task[Any, Any], log: TurnLog, store: Store) -> None:
        self._claim = claim
        self._task = task
        self._log = log
        self._store = store
        self._stop = AbortController()
        self._cancel = AbortController()
        self._outcome: Outcome = "completed"
        self._output = b"null"
        self._error: dict[str, str] | None = None
        self._late: BaseException | None = None
        self._trace = Trace.read(claim.record.payload.get("trace") or {})
        self._failed = int(claim.locals.get("failed", 0))

    @property
    def claim(self) -> Claim:
        return self._claim

    @property
    def stop(self) -> AbortController:
        return self._stop

    @property
    def cancel(self) -> AbortController:
        return self._cancel

    @property
    def outcome(self) -> Outcome:
        return self._outcome

    @property
    def run_s(self) -> float:
        """A run of a task has one turn."""
        return 0

    async def answer(self) -> None:
        if self._claim.stopped:
            self._stop.abort("stopped")
        elif self._attempt > self._task.options.retry.max_attempts:
            self._fail(RuntimeError(f"the run died {self._claim.attempt - 1} times"))
        else:
            error = await run_to_end(self._work(), self._stop.signal, f"task {self._claim.chat_id}")
            if error is not None and not self._stop.signal.aborted:
                logger.error("task failed", exc_info=error)
                cancelled = isinstance(error, asyncio.CancelledError)
                self._fail(RuntimeError("the run was cancelled by its own code") if cancelled else error)
        self._close()

    def commit(self, *, warm_s: float) -> Commit:
        claim = self._claim
        result = {"output": self._output} if self._error is None else {"error": orjson.dumps(self._error)}
        return Commit(
            claim=claim,
            changes=Changes(keep=-1, replaced=[], appended=[]),
            records=self._log.rest(),
            headers={"in": claim.record.seq, "turn": claim.turn, "outcome": self._outcome},
            fields=result,
            warm_s=0,
            run_s=0,
        )

    async def complete(self, last_event_id: str) -> None:
        try:
            await self._store.children.keep(self._claim.session_id, self._task.options.ttl_s)
        except StoreDown:
            logger.warning("Redis is away; the result of a run is kept longer than it should be")

    def expire(self, error: BaseException) -> None:
        """Time is up: a stop, to the function and to what it waits for, that is told as `error`."""
        self._late = error
        self._stop.abort(error)

    @property
    def _attempt(self) -> int:
        """Counts what raised and what died."""
        return self._failed + self._claim.attempt

    def _close(self) -> None:
        if self._late is not None:
            self._fail(self._late)
        elif self._stop.signal.aborted:
            self._outcome = "stopped"
            self._error = {"name": "Cancelled", "message": "the run was cancelled"}

    def _fail(self, error: BaseException) -> None:
        self._outcome = "failed"
        self._error = {"name": type(error).__name__, "message": str(error) or type(error).__name__}

    async def _work(self) -> None:
        enter_locals(self._trace.locals, read_only=True)
        payload = self._task.read_payload(self._claim.record.payload.get("payload"))
        retry = self._task.options.retry
        while True:
            try:
                output = await self._call(payload)
            except (LeaseLost, AbortTaskRun):
                raise
            except Exception as error:
                if self._stop.signal.aborted or self._attempt >= retry.max_attempts:
                    raise
                await self._note(error)
                async with parked():
                    await _sleep(retry.wait_s(self._attempt - 1), self._stop.signal)
            else:
                self._output = self._task.dump_output(output)
                return

    async def _call(self, payload: Any) -> Any:
        claim = self._claim
        run = TaskRun(
            task=self._task.id,
            run_id=claim.chat_id,
            session_id=claim.session_id,
            attempt=self._attempt,
            trace=self._trace,
            signal=AbortSignal.any(self._stop.signal, self._cancel.signal),
            stop_signal=self._stop.signal,
        )
        enter_task_run(run)
        return await call(self._task.function, *self._task.arguments(payload, run))

    async def _note(self, error: Exception) -> None:
        """Count a failed attempt where the next owner of a crashed run finds it."""
        logger.warning("attempt failed", exc_info=error, extra={"attempt": self._attempt})
        self._failed += 1
        with suppress(StoreDown):
            await self._store.mark(self._claim, {"locals": orjson.dumps({"failed": self._failed})})


async def _sleep(wait_s: float, stop: AbortSignal) -> None:
    """Sleep until a stop. Raises: CancelledError."""
    with suppress(TimeoutError):
        async with asyncio.timeout(wait_s):
            await stop.wait()
            raise asyncio.CancelledError
