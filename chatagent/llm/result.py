"""The result of `stream_text`: an answer to be iterated, piped or awaited, as its options let it be seen."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from dataclasses import replace
from typing import Any, Generic, TypeVar

from chatagent.errors import MASKED_ERROR
from chatagent.llm.answer import Answer, LiveAnswer
from chatagent.llm.context import StreamOptions
from chatagent.llm.error import describe, words_of
from chatagent.llm.step import Step
from chatagent.llm.usage import Usage

Chunk = dict[str, Any]
T = TypeVar("T")

_END_TYPES = ("finish", "abort")
_ERROR_TYPES = ("error", "tool-output-error", "tool-input-error")


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

    def __init__(self, live: LiveAnswer, options: StreamOptions) -> None:
        self._live = live
        self._options = options

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self.to_ui_message_stream()

    async def to_ui_message_stream(
        self, *, send_start: bool = True, send_finish: bool = True, **options: Any
    ) -> AsyncGenerator[Chunk, None]:
        """The answer as UI message chunks; `options` are those of `StreamOptions`, the turn's own by default."""
        live, view = self._live, replace(self._options, **options)
        async for index in live.follow(whole=True):
            chunk = live.chunks[index]
            kind = chunk["type"]
            if kind == "text-delta" and view.message_metadata is None:
                yield chunk
                continue
            if (kind == "start" and not send_start) or (kind == "finish" and not send_finish):
                continue
            for seen in seen_chunks(chunk, live.facts.get(index, {}), view):
                yield seen

    @property
    def text(self) -> Later[str]:
        """The text of the last step. Raises: what made the answer fail. After an abort it is what there was."""
        return Later(self._text)

    @property
    def error(self) -> BaseException | None:
        """Why it failed, as soon as that is known: a `ModelError`, or what a callback raised."""
        return self._live.answer.error

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
        """The model calls of this answer and what they called."""
        return self._later(lambda answer: answer.steps)

    @property
    def response_messages(self) -> Later[list[dict[str, Any]]]:
        """What the answer adds to the conversation, in OpenAI's form."""
        return self._later(lambda answer: answer.messages)

    @property
    def aborted(self) -> Later[bool]:
        """Whether the signal ended it."""
        return self._later(lambda answer: answer.aborted)

    def _later(self, get: Callable[[Answer], T]) -> Later[T]:
        async def value() -> T:
            return get(await self._live.finished())

        return Later(value)

    async def _text(self) -> str:
        answer = await self._live.finished()
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
        return words_of(options.on_error, error)
    if kind == "error" or options.redact_tool_errors:
        return MASKED_ERROR
    return describe(error)
