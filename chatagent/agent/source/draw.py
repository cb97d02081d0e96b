"""The pieces of anything that streams, drawn one by one; whatever was opened is closed, also after a stop."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import threading
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import aclosing
from typing import Any

from chatagent.agent.source import pydantic_ai
from chatagent.errors import ConfigError

logger = logging.getLogger(__name__)

_END = object()


async def pieces(source: Any) -> AsyncGenerator[Any, None]:
    """What `source` gives. Raises: ConfigError for what cannot be streamed."""
    if inspect.isawaitable(source):
        source = await source
    if hasattr(type(source), "__aenter__"):
        async with source as opened, aclosing(_opened(opened)) as drawn:
            async for piece in drawn:
                yield piece
    else:
        async with aclosing(_opened(source)) as drawn:
            async for piece in drawn:
                yield piece


async def _opened(source: Any) -> AsyncGenerator[Any, None]:
    if source is None:
        return
    if pydantic_ai.is_streamed_result(source):
        source = pydantic_ai.of_streamed_result(source)
    elif pydantic_ai.is_run(source):
        source = pydantic_ai.of_run(source)
    if _is_piece(source):
        yield source
    elif hasattr(source, "__aiter__"):
        try:
            async for piece in source:
                yield piece
        finally:
            await _close(source)
    elif isinstance(source, Iterable):
        async with aclosing(_in_thread(iter(source))) as drawn:
            async for piece in drawn:
                yield piece
    else:
        raise ConfigError(
            f"cannot stream a {type(source).__name__}: return a str, a UIMessage, a stream_text result, a generator of "
            "str or chunks, or a stream of litellm, OpenAI, pydantic-ai, LangChain or LangGraph"
        )


def _is_piece(source: Any) -> bool:
    """Whether it is one piece rather than a stream: text, a chunk or message, a whole answer of a framework."""
    if isinstance(source, str | Mapping):
        return True
    if hasattr(source, "__aiter__") or isinstance(source, Iterator):
        return False
    return hasattr(source, "choices") or hasattr(source, "response_metadata") or pydantic_ai.is_run_result(source)


async def _close(source: Any) -> None:
    """Close a stream that was left before its end."""
    close = getattr(source, "aclose", None) or getattr(source, "close", None)
    if close is not None:
        closing = close()
        if inspect.isawaitable(closing):
            await closing


async def _in_thread(iterator: Iterator[Any]) -> AsyncGenerator[Any, None]:
    """Draw from a blocking iterator in threads, in the turn's context; it is closed in one, too."""
    puller = _Puller(iterator)
    try:
        while (piece := await asyncio.to_thread(puller.pull)) is not _END:
            yield piece
    finally:
        # Not awaited: a stop need not wait for a thread that is in the middle of something.
        asyncio.get_running_loop().run_in_executor(None, puller.close)


class _Puller:
    """A blocking iterator that may be closed while a thread still draws from it."""

    def __init__(self, iterator: Iterator[Any]) -> None:
        self._iterator = iterator
        self._context = contextvars.copy_context()
        self._lock = threading.Lock()
        self._ended = False

    def pull(self) -> Any:
        """The next piece, or `_END`."""
        with self._lock:
            return _END if self._ended else self._context.run(next, self._iterator, _END)

    def close(self) -> None:
        """Close the iterator once nobody draws from it."""
        with self._lock:
            self._ended = True
            close = getattr(self._iterator, "close", None)
            if close is not None:
                try:
                    self._context.run(close)
                except Exception:
                    logger.exception("closing a stream failed")
