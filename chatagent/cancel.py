"""Ends tasks that run for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

#: Seconds after which what was cancelled is cancelled again.
_AGAIN_S = 1.0


async def cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks, and wait until all have ended, whatever they raise.

    Once is not enough: a cancellation that meets a timeout in the same pass of the loop, such as one of the Redis
    client's, is lost in it.
    """
    ended = open_ = set(tasks)
    while open_:
        for task in open_:
            task.cancel()
        _, open_ = await asyncio.wait(open_, timeout=_AGAIN_S)
    await asyncio.gather(*ended, return_exceptions=True)
