"""Plain functions in threads, beside the event loop that they belong to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from chatagent.errors import ConfigError

P = ParamSpec("P")
T = TypeVar("T")

#: Seconds after which a thread that waits looks whether its loop is still there.
_LOOK_S = 1.0

_home: ContextVar[asyncio.AbstractEventLoop | None] = ContextVar("chatagent_home_loop", default=None)


def enter_home() -> None:
    """Make the running loop the one that code of this context belongs to, in whatever thread it runs."""
    _home.set(asyncio.get_running_loop())


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What a blocking function returns; it runs in a thread, in the context of the caller."""
    return await asyncio.to_thread(_called, function, *args, **kwargs)


def wait(work: Awaitable[T]) -> T:
    """Wait for something asynchronous in a plain function: `chat.wait(chat.pipe(source))`.

    Raises: ConfigError in asynchronous code, which writes `await` instead, and outside of a worker; else what `work`
    raises.
    """
    home = _home.get()
    if home is None or running_loop() is not None:
        if asyncio.iscoroutine(work):
            work.close()
        where = "outside of a worker" if home is None else "in asynchronous code: write `await` instead"
        raise ConfigError(f"chat.wait is for plain functions that run in a thread, and this runs {where}")
    return wait_on(home, work)


def wait_on(loop: asyncio.AbstractEventLoop, work: Awaitable[T]) -> T:
    """Run `work` on a loop of another thread, in this context, and wait for it."""
    future = asyncio.run_coroutine_threadsafe(_awaited(work), loop)
    while True:
        try:
            return future.result(_LOOK_S)
        except TimeoutError:
            if future.done():
                raise
            if not loop.is_running():
                raise RuntimeError("the worker has ended") from None


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The loop of this thread; None in a thread that has none."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


async def _awaited(work: Awaitable[T]) -> T:
    return await work


def _called(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    try:
        return function(*args, **kwargs)
    except StopIteration as error:
        # No future takes one: whoever waits would wait for ever.
        raise RuntimeError("a function raised StopIteration") from error
