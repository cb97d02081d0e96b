"""Calling what authors write, of any colour."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from chatagent.errors import LeaseLost
from chatagent.signal import AbortSignal
from chatagent.thread import in_thread

#: Seconds that code which does not heed its signal has, before it is cancelled.
STOP_GRACE_S = 2.0


async def call(function: Any, *arguments: Any) -> Any:
    """Call an author's function; a plain one runs in a thread, in the context of the turn.

    A generator function of either kind gives its generator, not yet started.
    """
    target = function if inspect.isroutine(function) else type(function).__call__
    if inspect.iscoroutinefunction(target):
        return await function(*arguments)
    if inspect.isasyncgenfunction(target) or inspect.isgeneratorfunction(target):
        return function(*arguments)
    result = await in_thread(function, *arguments)
    return await result if inspect.isawaitable(result) else result


async def run_to_end(work: Coroutine[Any, Any, None], signal: AbortSignal, name: str) -> BaseException | None:
    """Run what calls an author's code, and give what it raised; it is cancelled soon after `signal` aborts.

    Raises: LeaseLost; CancelledError when this is cancelled from outside (one of the code's own is returned).
    """
    task = asyncio.create_task(work, name=name)
    remove = signal.add_listener(lambda: _cancel_later(task))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError as error:
        if task.done():
            return error
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task
        raise
    except LeaseLost:
        raise
    except Exception as error:  # noqa: BLE001 - it is what the caller is given
        return error
    finally:
        remove()
    return None


def _cancel_later(task: asyncio.Task[Any]) -> None:
    asyncio.get_running_loop().call_later(STOP_GRACE_S, task.cancel)
