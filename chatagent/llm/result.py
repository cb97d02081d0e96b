"""The answer of `stream_text`: one run, started by whoever reads first, read by as many as like."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from chatagent.errors import MASKED_ERROR
from chatagent.llm.context import StreamOptions
from chatagent.llm.error import describe
from chatagent.llm.step import Step
from chatagent.llm.usage import Usage
from chatagent.signal import AbortSignal

Chunk = dict[str, Any]
T = TypeVar("T")

_END_TYPES = ("finish", "abort")
_ERROR_TYPES = ("error", "tool-output-error", "tool-input-error")


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


class Run:
    """Chunks as they come. `work` emits them; it is cancelled on abort, or when its last reader leaves early."""

    def __init__(self, work: Callable[[Run, bool], Awaitable[None]], signal: AbortSignal | None) -> None:
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


class Later(Generic[T]):
    """Something to await; unlike a coroutine it may be left alone, or awaited twice."""

    def __init__(self, get: Callable[[], Awaitable[T]]) -> None:
        self._get = get

    def __await__(self) -> Generator[Any, None, T]:
        return self._get().__await__()


class StreamTextResult:
    """A model's answer, lazy: nothing happens until it is iterated or one of its values is awaited.

    Iterating gives UI message chunks. However often it is read, the model is called once.
    """

    def __init__(self, run: Run, options: StreamOptions) -> None:
        self._run = run
        self._options = options

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self.to_ui_message_stream()

    async def to_ui_message_stream(
        self, *, send_start: bool = True, send_finish: bool = True, **options: Any
    ) -> AsyncGenerator[Chunk, None]:
        """The answer as UI message chunks; `options` are those of `StreamOptions`, the turn's own by default."""
        run, view = self._run, replace(self._options, **options)
        async for index in run.follow(whole=True):
            chunk = run.chunks[index]
            kind = chunk["type"]
            if kind == "text-delta" and view.message_metadata is None:
                yield chunk
                continue
            if (kind == "start" and not send_start) or (kind == "finish" and not send_finish):
                continue
            for seen in seen_chunks(chunk, run.facts.get(index, {}), view):
                yield seen

    @property
    def text(self) -> Later[str]:
        """The text of the last step. Raises: what made the answer fail. After an abort it is what there was."""
        return Later(self._text)

    @property
    def error(self) -> BaseException | None:
        """Why it failed, as soon as that is known: a `ModelError`, or what a callback raised."""
        return self._run.answer.error

    @property
    def usage(self) -> Later[Usage]:
        """Tokens over all steps."""
        return self._later(lambda answer: answer.usage)

    @property
    def finish_reason(self) -> Later[str | None]:
        """Why the last step ended, in the AI SDK's words; `error`, or None after an abort."""
        return self._later(lambda answer: answer.finish_reason)

    @property
    def steps(self) -> Later[list[Step]]:
        """The model calls of this run and what they called."""
        return self._later(lambda answer: answer.steps)

    @property
    def response_messages(self) -> Later[list[dict[str, Any]]]:
        """What the run adds to the conversation, in OpenAI's form."""
        return self._later(lambda answer: answer.messages)

    @property
    def aborted(self) -> Later[bool]:
        """Whether the signal ended it."""
        return self._later(lambda answer: answer.aborted)

    def _later(self, get: Callable[[Answer], T]) -> Later[T]:
        async def value() -> T:
            return get(await self._run.finished())

        return Later(value)

    async def _text(self) -> str:
        answer = await self._run.finished()
        if answer.error is not None:
            raise answer.error
        return answer.text


def seen_chunks(chunk: Chunk, facts: dict[str, Any], options: StreamOptions) -> list[Chunk]:
    """What a client sees of one chunk: nothing, the chunk with masked errors, metadata beside it."""
    kind = chunk["type"]
    if kind.startswith("reasoning-") and not options.send_reasoning:
        return []
    if kind.startswith("source-") and not options.send_sources:
        return []
    if kind in _ERROR_TYPES:
        chunk = {**chunk, "errorText": error_text(facts.get("error"), kind, options)}
    if options.message_metadata is None:
        return [chunk]
    known = {key: value for key, value in facts.items() if key != "error"}
    metadata = options.message_metadata({**chunk, **known})
    if metadata is None:
        return [chunk]
    if kind in ("start", "finish"):
        return [{**chunk, "messageMetadata": metadata}]
    beside = {"type": "message-metadata", "messageMetadata": metadata}
    return [beside, chunk] if kind in ("finish-step", *_END_TYPES) else [chunk, beside]


def error_text(error: BaseException | None, kind: str, options: StreamOptions) -> str:
    """The text for an exception: of `on_error`, masked for errors of the model, whole for those of tools."""
    if error is None:
        return MASKED_ERROR
    if options.on_error is not None:
        return options.on_error(error)
    if kind == "error" or options.redact_tool_errors:
        return MASKED_ERROR
    return describe(error)
