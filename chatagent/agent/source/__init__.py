"""Anything that streams, as UI message chunks: what an agent may return or pipe."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import aclosing
from typing import Any

from chatagent.agent.source.draw import pieces
from chatagent.agent.source.reader import Reader
from chatagent.agent.source.writer import OnUsage, SourceFailed
from chatagent.ui import message_to_chunks

Chunk = dict[str, Any]

__all__ = ["OnUsage", "SourceFailed", "chunks_of", "is_stream_text"]


def is_stream_text(source: Any) -> bool:
    """Whether `source` heeds the turn's signal by itself (a `stream_text` result does)."""
    return hasattr(source, "to_ui_message_stream")


async def chunks_of(
    source: Any,
    *,
    waiting_calls: Collection[str] = (),
    on_usage: OnUsage | None = None,
    interrupted: Callable[[], bool] = lambda: False,
) -> AsyncGenerator[Chunk, None]:
    """The chunks of `source`, in order; leaving early closes it.

    `source`: a `stream_text` result, a `str`, a UIMessage, or a stream of `str`, of chunks, of growing UIMessages, or
    of what litellm, OpenAI (chat completions and responses), pydantic-ai, LangChain and LangGraph give; async or not,
    awaitable or not, as a context manager or opened. `waiting_calls` are the tool calls that the message has from
    earlier turns: their outputs are written without showing them again. `on_usage` is told of tokens; a `stream_text`
    result tells the turn itself. `interrupted` says that something else was written since the last chunk: what comes
    then stands behind it, in a part of its own.
    Raises: ConfigError for what cannot be streamed, SourceFailed for the errors that streams report, and whatever the
    source raises.
    """
    if source is None:
        return
    if is_stream_text(source):
        async for chunk in source.to_ui_message_stream():
            yield chunk
    elif isinstance(source, dict) and "parts" in source:
        for chunk in message_to_chunks(source):
            yield chunk
    else:
        reader = Reader(waiting_calls=waiting_calls, on_usage=on_usage)
        async with aclosing(pieces(source)) as drawn:
            async for piece in drawn:
                for chunk in reader.interrupt() if interrupted() else ():
                    yield chunk
                for chunk in reader.add(piece):
                    yield chunk
        for chunk in reader.close():
            yield chunk
