"""Asking a store until it answers: Redis may be away for a while, and every call may be repeated."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from chatagent.errors import StoreDown

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds between two attempts: at first, and at most; each wait is twice as long as the one before.
_FIRST_S, _LONGEST_S = 0.05, 0.5


async def patiently(call: Callable[[], Awaitable[T]], failed: str) -> T:
    """What `call` gives, once there is an answer; who must not wait for ever is cancelled. `failed` is for the log."""
    wait_s = _FIRST_S
    while True:
        try:
            return await call()
        except StoreDown:
            logger.warning("%s, Redis is away; trying again", failed)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, _LONGEST_S)
