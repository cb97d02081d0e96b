"""Calling what authors write, of any colour."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Coroutine
from typing import Any

from chatagent.errors import LeaseLost
from chatagent.signal import AbortSignal
from chatagent.thread import in_thread

logger = logging.getLogger(__name__)

#: Seconds that code which does not heed its signal has, before it is cancelled.
STOP_GRACE_S = 2.0
#: Seconds that it has to tidy up after its cancellation; and after another, before it is left alone.
CANCEL_S = (5.0, 1.0)
#: What was left alone: the event loop itself forgets tasks that nobody holds.
_left: set[asyncio.Task[None]] = set()


async def call(function: Any, *arguments: Any) -> Any:
    """Call an author's function; a plain one runs in a thread, in the context of the turn.

    A generator function of either kind gives its generator, not yet started. Raises: RuntimeError for one that would
    end the process, else what the function raises.
    """
    target = function if inspect.isroutine(function) else type(function).__call__
    if inspect.isasyncgenfunction(target) or inspect.isgeneratorfunction(target):
        return function(*arguments)
    try:
        if inspect.iscoroutinefunction(target):
            return await function(*arguments)
        result = await in_thread(function, *arguments)
        return await result if inspect.isawaitable(result) else result
    except (SystemExit, KeyboardInterrupt) as error:
        raise no_exit(error) from error


def no_exit(error: BaseException) -> RuntimeError:
    """What is raised in place of what would end the process, and all other chats in it."""
    return RuntimeError(f"the code raised {type(error).__name__}: a chat does not end its worker")


async def run_to_end(work: Coroutine[Any, Any, None], signal: AbortSignal, name: str) -> BaseException | None:
    """Run what calls an author's code, and give what it raised; it is cancelled soon after `signal` aborts.

    Code that heeds no cancellation is left alone after a while, as if it had. Raises: LeaseLost; CancelledError when
    this is cancelled from outside (one of the code's own is returned).
    """
    task = asyncio.create_task(work, name=name)
    aborted = asyncio.get_running_loop().create_future()
    remove = signal.add_listener(lambda: None if aborted.done() else aborted.set_result(None))
    try:
        await asyncio.wait([task, aborted], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            await asyncio.wait([task], timeout=STOP_GRACE_S)
            await _cancel(task)
    except asyncio.CancelledError:
        await _cancel(task)
        raise
    finally:
        remove()
    return _raised(task)


async def _cancel(task: asyncio.Task[None]) -> None:
    for timeout_s in CANCEL_S:
        if task.done():
            return
        task.cancel()
        await asyncio.wait([task], timeout=timeout_s)
    if not task.done():
        logger.error("code that heeds no cancellation was left alone", extra={"task": task.get_name()})
        _left.add(task)
        task.add_done_callback(_forget)


def _forget(task: asyncio.Task[None]) -> None:
    _left.discard(task)
    if not task.cancelled():
        task.exception()  # else it would be reported as never retrieved


def _raised(task: asyncio.Task[None]) -> BaseException | None:
    if not task.done() or task.cancelled():
        return asyncio.CancelledError()
    error = task.exception()
    if isinstance(error, LeaseLost):
        raise error
    if error is None or isinstance(error, Exception):
        return error
    instead = no_exit(error)
    instead.__cause__ = error
    return instead
