"""Callbacks of either colour."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def settle(value: Awaitable[T] | T) -> T:
    """`value`, awaited when it is awaitable."""
    if inspect.isawaitable(value):
        awaited: T = await value
        return awaited
    return value
