"""Anything that streams, as UI message chunks: what an agent may return or pipe."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from typing import Any

from chatagent.errors import ConfigError
from chatagent.ids import new_id
from chatagent.ui import message_to_chunks

Chunk = dict[str, Any]

_END = object()


def is_stream_text(source: Any) -> bool:
    """Whether `source` heeds the turn's signal by itself (a `stream_text` result does)."""
    return hasattr(source, "to_ui_message_stream")


async def chunks_of(source: Any) -> AsyncGenerator[Chunk, None]:
    """The chunks of `source`, in order. Raises: ConfigError for what cannot be streamed."""
    if source is None:
        return
    if is_stream_text(source):
        async for chunk in source.to_ui_message_stream():
            yield chunk
    elif isinstance(source, Mapping) and "parts" in source:
        for chunk in message_to_chunks(dict(source)):
            yield chunk
    else:
        writer = _TextWriter()
        async for piece in _pieces(source):
            for chunk in writer.add(piece):
                yield chunk
        for chunk in writer.close():
            yield chunk


async def _pieces(source: Any) -> AsyncIterator[Any]:
    if isinstance(source, str | Mapping):
        yield source
    elif hasattr(source, "__aiter__"):
        async for piece in source:
            yield piece
    elif isinstance(source, Iterator) or inspect.isgenerator(source) or isinstance(source, list | tuple):
        async for piece in _in_thread(iter(source)):
            yield piece
    else:
        raise ConfigError(
            f"cannot stream a {type(source).__name__}: return a str, a UIMessage, a stream_text result "
            "or a generator of str or chunks"
        )


async def _in_thread(iterator: Iterator[Any]) -> AsyncIterator[Any]:
    """Draw from a blocking iterator in threads, in the turn's context."""
    context = contextvars.copy_context()
    while True:
        piece = await asyncio.to_thread(context.run, lambda: next(iterator, _END))
        if piece is _END:
            return
        yield piece


class _TextWriter:
    """Puts loose text into one text part of a step; a chunk in between closes the part."""

    def __init__(self) -> None:
        self._text_id: str | None = None
        self._reasoning_id: str | None = None
        self._step = False

    def add(self, piece: Any) -> Iterator[Chunk]:
        if isinstance(piece, str):
            yield from self._text(piece)
        elif isinstance(piece, Mapping):
            yield from self._chunk(dict(piece))
        elif hasattr(piece, "choices"):
            yield from self._completion(piece)
        else:
            raise ConfigError(f"a stream must give str or chunks, not {type(piece).__name__}")

    def close(self) -> Iterator[Chunk]:
        yield from self._close_parts()
        if self._step:
            self._step = False
            yield {"type": "finish-step"}

    def _chunk(self, chunk: Chunk) -> Iterator[Chunk]:
        if not str(chunk.get("type", "")).startswith("data-"):
            yield from self._close_parts()
        yield chunk

    def _completion(self, piece: Any) -> Iterator[Chunk]:
        """A chunk of an OpenAI chat completion stream; tool calls need `stream_text`."""
        for choice in piece.choices[:1]:
            reasoning = getattr(choice.delta, "reasoning_content", None)
            if reasoning:
                yield from self._reasoning(reasoning)
            if choice.delta.content:
                yield from self._text(choice.delta.content)

    def _text(self, text: str) -> Iterator[Chunk]:
        if not text:
            return
        if self._text_id is None:
            yield from self._open_step()
            self._text_id = new_id()
            yield {"type": "text-start", "id": self._text_id}
        yield {"type": "text-delta", "id": self._text_id, "delta": text}

    def _reasoning(self, text: str) -> Iterator[Chunk]:
        if self._reasoning_id is None:
            yield from self._open_step()
            self._reasoning_id = new_id()
            yield {"type": "reasoning-start", "id": self._reasoning_id}
        yield {"type": "reasoning-delta", "id": self._reasoning_id, "delta": text}

    def _open_step(self) -> Iterator[Chunk]:
        yield from self._close_parts()
        if not self._step:
            self._step = True
            yield {"type": "start-step"}

    def _close_parts(self) -> Iterator[Chunk]:
        if self._text_id is not None:
            yield {"type": "text-end", "id": self._text_id}
        if self._reasoning_id is not None:
            yield {"type": "reasoning-end", "id": self._reasoning_id}
        self._text_id = self._reasoning_id = None
