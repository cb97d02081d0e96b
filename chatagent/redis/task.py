"""Tasks from outside a worker: a web process or a script starts runs and asks how they ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from chatagent.agent.task import Handle, Result, Task
from chatagent.child import Trace, session_of_run
from chatagent.redis.backend import RedisBackend
from chatagent.redis.child import ended_command, read_ended, start_commands
from chatagent.redis.error import store_errors
from chatagent.redis.script import run
from chatagent.redis.subscriber import Waker

In = TypeVar("In")
Out = TypeVar("Out")

#: Queue of tasks that name none, as the workers' settings have it by default.
DEFAULT_QUEUE = "turns"


class Tasks:
    """Starts tasks over one gateway's connections; `dispatch` enqueues: `Enqueue(make_producer(broker_url))`."""

    def __init__(
        self, backend: RedisBackend, dispatch: Callable[[str, str, str], None], *, queue: str = DEFAULT_QUEUE
    ) -> None:
        self._redis = backend.open_gateway()
        self._dispatch = dispatch
        self._queue = queue

    def trigger(
        self, task: Task[In, Any], payload: In, *, idempotency_key: str | None = None, user: str | None = None
    ) -> Handle:
        """Start a run; a key that was used before finds its run. Raises: BadRequest, TooLarge, StoreDown."""
        new = task.new_run(payload, idempotency_key)
        with store_errors():
            *_, answer = run(
                self._redis.client, *start_commands(self._redis.keys, new, Trace(user=user).to_dict(), self._queue)
            )
        if answer[0] == b"created":
            self._dispatch(new.task, new.session_id, new.queue or self._queue)
        return Handle(new.run_id)

    def result(self, task: Task[Any, Out], run_id: str) -> Result[Out] | None:
        """How a run ended; None while it has not. Raises: NotFound, StoreDown."""
        session_id = session_of_run(run_id)
        with store_errors():
            (fields,) = run(self._redis.client, ended_command(self._redis.keys, session_id))
        ended = read_ended(session_id, fields)
        return None if ended is None else task.result(run_id, ended)

    def wait(self, task: Task[Any, Out], run_id: str, *, timeout_s: float | None = None) -> Result[Out]:
        """Wait for a run's end. Raises: TimeoutError, NotFound, StoreDown."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        rung = threading.Event()
        leave = self._redis.subscriber.subscribe(self._redis.keys.out_channel(session_of_run(run_id)), Waker(rung))
        try:
            while (result := self.result(task, run_id)) is None:
                left_s = None if deadline is None else deadline - time.monotonic()
                if not rung.wait(left_s):
                    raise TimeoutError(f"run {run_id} has not ended within {timeout_s:g} s")
                rung.clear()
        finally:
            leave()
        return result

    def cancel(self, run_id: str) -> None:
        """Stop a run that runs or waits. Raises: NotFound, StoreDown."""
        self._redis.inbox.push(session_of_run(run_id), "stop", {})

    def close(self) -> None:
        """Drop all connections."""
        self._redis.close()
