"""What all tests of a process share: a Redis in memory and an event loop, made on first use."""

from __future__ import annotations

import asyncio
import atexit
import os
import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol

from chatagent.redis.embedded import EmbeddedRedis

#: Names a running Redis to be used instead of one of our own; only keys with a random prefix are written.
URL_VARIABLE = "CHATAGENT_TEST_REDIS_URL"
#: Seconds for the loop to end.
_STOP_S = 10.0


class Owner(Protocol):
    """Whose tasks a context starts: a process that a test may kill."""

    def started(self, task: asyncio.Task[Any]) -> None:
        """A task was made in its context."""


#: The process that this code belongs to.
current_owner: ContextVar[Owner | None] = ContextVar("chatagent_test_process", default=None)


class Stage:
    """A Redis and a loop in a thread of its own, where all engines of all tests run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._redis: EmbeddedRedis | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._executor: ThreadPoolExecutor | None = None

    @property
    def redis_url(self) -> str:
        """The Redis of this process's tests."""
        with self._lock:
            if named := os.environ.get(URL_VARIABLE):
                return named
            if self._redis is None:
                redis = EmbeddedRedis(Path(tempfile.mkdtemp(prefix="ca-test-")), durable=False)
                redis.acquire()
                self._redis = redis
                atexit.register(self.close)
            return self._redis.url

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running loop."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._loop.set_task_factory(_make_task)
                # Of our own, because the loop's would need a further thread to be ended, at exit of all times.
                self._executor = ThreadPoolExecutor(thread_name_prefix="chatagent-testing")
                self._loop.set_default_executor(self._executor)
                self._thread = threading.Thread(target=_run, args=[self._loop], name="chatagent-testing", daemon=True)
                self._thread.start()
                atexit.register(self.close)
            return self._loop

    def close(self) -> None:
        """End both; the next test that needs them makes others."""
        atexit.unregister(self.close)
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
            executor, self._executor = self._executor, None
            redis, self._redis = self._redis, None
        if loop is not None and thread is not None and executor is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_STOP_S)
            executor.shutdown()
            loop.close()
        if redis is not None:
            redis.release()
            shutil.rmtree(redis.folder, ignore_errors=True)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()


def _make_task(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
    """A task that its process knows of, so that it can die with it."""
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **options)
    context = options.get("context")
    owner = current_owner.get() if context is None else context.get(current_owner)
    if owner is not None:
        owner.started(task)
    return task


#: Shared by everything in this process.
shared = Stage()
