"""Chunks of OpenAI chat completion streams, and of litellm, which gives every provider that shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatagent.agent.source.writer import Writer
from chatagent.ids import new_id

#: Events of `client.chat.completions.stream()` that only say again what their chunk has said.
_REPEATED = (
    *("content.delta", "content.done", "refusal.delta", "refusal.done"),
    *("tool_calls.function.arguments.delta", "tool_calls.function.arguments.done"),
    *("logprobs.content.delta", "logprobs.content.done", "logprobs.refusal.delta", "logprobs.refusal.done"),
)


class CompletionReader:
    """Reads `ChatCompletionChunk`s, and whole `ChatCompletion`s. Calls are shown; whoever made the stream runs them."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        #: Id and name of the call that each index stands for now.
        self._calls: dict[int, tuple[str, str]] = {}
        self._usage: Any = None
        self._finished = self._refused = False

    @staticmethod
    def reads(piece: Any) -> bool:
        """Whether `piece` is one of these."""
        return hasattr(piece, "choices") or getattr(piece, "type", None) in ("chunk", *_REPEATED)

    def add(self, piece: Any) -> None:
        """Write one chunk."""
        kind = getattr(piece, "type", None)
        if kind in _REPEATED:
            return
        if kind == "chunk":
            piece = piece.chunk
        for choice in piece.choices[:1]:
            delta = getattr(choice, "delta", None) or getattr(choice, "message", None)
            if self._finished and (getattr(delta, "content", None) or getattr(delta, "tool_calls", None)):
                # Another completion in the same stream; ids cannot tell, some providers make one per chunk.
                self._end()
            if delta is not None:
                self._delta(delta)
            if choice.finish_reason is not None:
                self._finished = True
                self._writer.end_parts()
                self._writer.end_calls()
                self._writer.finish("content_filter" if self._refused else choice.finish_reason)
                self._calls = {}
        self._usage = getattr(piece, "usage", None) or self._usage

    def close(self) -> None:
        """The stream is over."""
        self._end()

    def _delta(self, delta: Any) -> None:
        writer = self._writer
        writer.reasoning(getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None))
        content = getattr(delta, "content", None)
        writer.text(content if isinstance(content, str) else None)
        if refusal := getattr(delta, "refusal", None):
            self._refused = True
            writer.text(refusal)
        for at, call in enumerate(getattr(delta, "tool_calls", None) or ()):
            self._call(call, at)
        for annotation in getattr(delta, "annotations", None) or ():
            _source(writer, annotation if isinstance(annotation, Mapping) else annotation.model_dump())

    def _call(self, call: Any, at: int) -> None:
        index = getattr(call, "index", None)
        index = at if index is None else index
        function = call.function
        known = self._calls.get(index)
        # Some providers number every call 0: another id with a name is another call.
        if known is None or (call.id and function.name and call.id != known[0]):
            if known is not None:
                self._writer.end_call(known[0])
            known = self._calls[index] = (call.id or new_id(), function.name or "")
            self._writer.start_call(*known)
        self._writer.call_delta(known[0], function.arguments)

    def _end(self) -> None:
        """One completion is over; another may follow in the same stream."""
        if (usage := self._usage) is not None:
            prompt = getattr(usage, "prompt_tokens_details", None)
            completion = getattr(usage, "completion_tokens_details", None)
            self._writer.used(
                inputTokens=getattr(usage, "prompt_tokens", None),
                outputTokens=getattr(usage, "completion_tokens", None),
                totalTokens=getattr(usage, "total_tokens", None),
                reasoningTokens=getattr(completion, "reasoning_tokens", None),
                cachedInputTokens=getattr(prompt, "cached_tokens", None),
            )
        if self._finished:
            self._writer.end_step()
        self._usage, self._calls = None, {}
        self._finished = self._refused = False


def _source(writer: Writer, annotation: Mapping[str, Any]) -> None:
    citation = annotation.get("url_citation") or {}
    if url := citation.get("url"):
        title = {"title": citation["title"]} if citation.get("title") else {}
        writer.content({"type": "source-url", "sourceId": new_id(), "url": url, **title})
