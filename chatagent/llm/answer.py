"""An answer while it is made: one piece of work, started by whoever reads first, read by as many as like."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from chatagent.llm.step import Step
from chatagent.llm.usage import Usage
from chatagent.signal import AbortSignal

Chunk = dict[str, Any]


@dataclass(slots=True)
class Answer:
    """What an answer amounts to; grows while it runs."""

    steps: list[Step] = field(default_factory=list)
    #: Tool messages that answer calls of an earlier turn, then the messages of the steps.
    messages: list[dict[str, Any]] = field(default_factory=list)
    finish_reason: str | None = None
    usage: Usage = field(default_factory=Usage)
    #: Why it failed: a `ModelError`, or what a callback raised.
    error: BaseException | None = None
    aborted: bool = False

    @property
    def text(self) -> str:
        """The text of the last step."""
        return self.steps[-1].text if self.steps else ""


class LiveAnswer:
    """An answer as it comes. `work` emits its chunks; an abort cancels it, or its last reader by leaving early."""

    def __init__(self, work: Callable[[LiveAnswer, bool], Awaitable[None]], signal: AbortSignal | None) -> None:
        self.answer = Answer()
        self.chunks: list[Chunk] = []
        #: What is known about a chunk besides what clients see, by its index.
        self.facts: dict[int, dict[str, Any]] = {}
        self._work = work
        self._signal = signal
        self._task: asyncio.Task[None] | None = None
        self._ended = False
        self._stopped = False
        self._readers = 0
        self._waiting: list[asyncio.Future[None]] = []

    def emit(self, chunk: Chunk, **facts: Any) -> None:
        """Add a chunk; nothing is added after the end, nor after a stop."""
        if self._ended or (self._stopped and self.chunks):
            return
        if facts:
            self.facts[len(self.chunks)] = facts
        self.chunks.append(chunk)
        if self._waiting:
            self._wake()

    async def follow(self, *, whole: bool) -> AsyncIterator[int]:
        """The indexes of the chunks, from the first. `whole`: the reader takes the chunks, not just the outcome."""
        self._start(whole)
        self._readers += 1
        index = 0
        try:
            while True:
                while index < len(self.chunks):
                    yield index
                    index += 1
                if self._ended:
                    return
                await self._more()
        finally:
            self._readers -= 1
            if not self._readers and not self._ended and self._task is not None:
                self._task.cancel()

    async def finished(self) -> Answer:
        """The answer, once it is complete."""
        async for _ in self.follow(whole=False):
            pass
        return self.answer

    def _start(self, whole: bool) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._main(whole), name="stream_text")
            # Also when the task is cancelled before it has begun.
            self._task.add_done_callback(lambda _: self._end())

    async def _main(self, whole: bool) -> None:
        task = asyncio.current_task()
        assert task is not None
        remove = self._signal.add_listener(lambda: self._stop(task)) if self._signal is not None else lambda: None
        try:
            await self._work(self, whole)
        except asyncio.CancelledError:
            if self._signal is None or not self._stopped:
                raise
            self.answer.aborted = True
            reason = self._signal.reason
            self.chunks.append({"type": "abort", "reason": str(reason)} if reason is not None else {"type": "abort"})
        finally:
            remove()
            self._end()

    def _stop(self, task: asyncio.Task[None]) -> None:
        self._stopped = True
        task.cancel()

    def _end(self) -> None:
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.done():
                each.set_result(None)

    async def _more(self) -> None:
        more: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(more)
        await more
