"""From what an agent streams to the answer of its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Any

from chatagent.agent.loop_message import Captured
from chatagent.agent.source import OnUsage, SourceFailed, chunks_of, is_stream_text
from chatagent.runtime.call import no_exit
from chatagent.runtime.response import Response
from chatagent.runtime.writer import TurnLog
from chatagent.signal import AbortSignal

#: A chatty generator lets others run after this many chunks.
_CHUNKS_PER_SLICE = 32


class Pipe:
    """Streams sources into one response; a stop ends the source, and what was written stays.

    `on_usage` is told what streams of other frameworks used, and `options` says whether their reasoning is for
    clients; a `stream_text` result sees to both itself.
    """

    def __init__(
        self,
        response: Response,
        log: TurnLog,
        stop: AbortSignal,
        on_usage: OnUsage | None = None,
        options: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        #: Why the answer failed, where a stream told it with an `error` chunk and did not raise.
        self.error: BaseException | None = None
        self._response = response
        self._log = log
        self._stop = stop
        self._on_usage = on_usage
        self._options = options
        #: Results of `stream_text` that were streamed.
        self._piped: list[Any] = []

    async def __call__(self, source: Any) -> dict[str, Any]:
        """Stream `source` to its end; returns the message so far. What this gave itself is there already."""
        if source is None or self._is_shown(source):
            return self._response.message
        pump = asyncio.create_task(self._pump(source))
        remove: Callable[[], None] | None = None
        if not is_stream_text(source):
            # A stream_text result closes its model call itself, and says how it ended.
            remove = self._stop.add_listener(lambda: _cancel(pump))
        try:
            await pump
        except asyncio.CancelledError:
            if not pump.cancelled() or not self._stop.aborted:
                pump.cancel()
                raise
        finally:
            if remove is not None:
                remove()
        return self._response.message

    def _is_shown(self, source: Any) -> bool:
        """Whether it is the answer itself, or was piped before: `await chat.pipe(result)`, `return result`."""
        if isinstance(source, Captured):
            return True
        if is_stream_text(source):
            known = any(source is each for each in self._piped)
            self._piped.append(source)
            return known
        return (
            isinstance(source, Mapping)
            and source.get("id") == self._response.message_id
            and source.get("role") == "assistant"
            and not self._response.empty
        )

    async def _pump(self, source: Any) -> None:
        try:
            await self._stream(source)
        except (SystemExit, KeyboardInterrupt) as error:
            raise no_exit(error) from error

    async def _stream(self, source: Any) -> None:
        written = 0
        hides_reasoning = not is_stream_text(source) and self._options().get("send_reasoning") is False
        parts = self._response.message["parts"]
        length = len(parts)
        open_calls = [
            part["toolCallId"]
            for part in parts
            if "toolCallId" in part and not str(part.get("state")).startswith("output-")
        ]
        stream = chunks_of(
            source,
            waiting_calls=open_calls,
            on_usage=self._on_usage,
            interrupted=lambda: len(parts) != length,
        )
        async with aclosing(stream) as chunks:
            async for chunk in chunks:
                if hides_reasoning and chunk["type"].startswith("reasoning-"):
                    continue
                self._response.write(chunk)
                if chunk["type"] == "error":
                    self.error = _known_error(source) or SourceFailed(str(chunk["errorText"]))
                length = len(parts)
                written += 1
                if written % _CHUNKS_PER_SLICE == 0:
                    await asyncio.sleep(0)
                    await self._log.drain()


def _known_error(source: Any) -> BaseException | None:
    """The exception behind an `error` chunk: clients must not read it, hooks may."""
    error = getattr(source, "error", None)
    return error if isinstance(error, BaseException) else None


def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
