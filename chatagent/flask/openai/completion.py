"""A chat completion, whole and in pieces. Pure. Source: OpenAI API reference, "The chat completion (chunk) object"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from chatagent.flask.openai.call_id import told_call_id
from chatagent.flask.openai.output import Change, Chunk, Output

#: The AI SDK's finish reasons that OpenAI calls otherwise.
_REASONS = {"content-filter": "content_filter", "tool-calls": "stop", "error": "stop", "other": "stop"}


@dataclass(slots=True)
class Completion:
    """One completion of `model`, from the chunks of one answer in a session."""

    id: str
    model: str
    session_id: str
    created_s: int
    output: Output = field(default_factory=Output)

    def pieces(self, chunk: Chunk) -> Iterator[dict[str, Any]]:
        """What a chunk adds to the stream."""
        for change in self.output.take(chunk):
            delta = self._delta(change)
            if delta is not None:
                yield self.piece(delta)

    def _delta(self, change: Change) -> dict[str, Any] | None:
        name = "content" if change.item.kind == "text" else "reasoning_content"
        if change.what == "grow":
            return {name: change.delta}
        earlier = (item.kind == change.item.kind and item.text for item in self.output.items[: change.item.number])
        return {name: "\n\n"} if change.what == "begin" and any(earlier) else None

    def piece(self, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        """One chunk of the stream."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def last_pieces(self, usage: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
        """The end of the stream: calls that wait, the reason, and the usage where it was asked for."""
        calls = self._calls()
        if calls:
            yield self.piece({"tool_calls": [{"index": at, **call} for at, call in enumerate(calls)]})
        yield self.piece({}, self._finish_reason())
        if usage is not None:
            yield {**self._head("chat.completion.chunk"), "choices": [], "usage": read_usage(usage)}

    def whole(self, usage: Mapping[str, Any]) -> dict[str, Any]:
        """The completion once it has ended."""
        message: dict[str, Any] = {"role": "assistant", "content": self.output.text() or None, "refusal": None}
        thought, calls = self.output.text("reasoning"), self._calls()
        if thought:
            message["reasoning_content"] = thought
        if calls:
            message["tool_calls"] = calls
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self._finish_reason()}
        return {**self._head("chat.completion"), "choices": [choice], "usage": read_usage(usage)}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created_s, "model": self.model}

    def _finish_reason(self) -> str:
        if self._calls():
            return "tool_calls"
        return _REASONS.get(self.output.finish_reason, self.output.finish_reason)

    def _calls(self) -> list[dict[str, Any]]:
        """Calls that wait for an output; a call that waits for a yes cannot be told here."""
        return [
            {
                "id": told_call_id(call.id, self.session_id),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in self.output.waiting
            if call.approval is None
        ]


def read_usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    """The tokens of a turn in OpenAI's names; 0 is what nobody counted."""
    asked, told = int(usage.get("inputTokens") or 0), int(usage.get("outputTokens") or 0)
    return {
        "prompt_tokens": asked,
        "completion_tokens": told,
        "total_tokens": int(usage.get("totalTokens") or asked + told),
        "prompt_tokens_details": {"cached_tokens": int(usage.get("cachedInputTokens") or 0)},
        "completion_tokens_details": {"reasoning_tokens": int(usage.get("reasoningTokens") or 0)},
    }
