"""Calling what authors write, of any colour."""

from __future__ import annotations

import inspect
from typing import Any

from chatagent.thread import in_thread


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
