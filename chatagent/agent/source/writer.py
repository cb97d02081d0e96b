"""Parts of an answer as chunks, whatever framework they come from: text, reasoning, calls, outputs, and their steps."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from chatagent.errors import ChatAgentError
from chatagent.ids import new_id
from chatagent.ui import as_json, finish_reason

Chunk = dict[str, Any]
#: What other providers and frameworks say for OpenAI's finish reasons.
_REASONS = {
    "tool_call": "tool_calls",
    "tool_use": "tool_calls",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "safety": "content_filter",
    "refusal": "content_filter",
}
#: Told of the tokens of each model call, in the AI SDK's names (`inputTokens`, …).
OnUsage = Callable[[dict[str, Any]], None]


class SourceFailed(ChatAgentError):
    """A stream reported an error of its own; the message is the provider's."""

    code = "source_failed"


@dataclass(slots=True)
class _Call:
    name: str
    marks: dict[str, Any]
    text: list[str] = field(default_factory=list)
    whole: bool = False
    answered: bool = False


class Writer:
    """Collects chunks; `take` hands them over.

    A step is one model call: what comes after a tool's output begins the next one. Parts are told apart by `key`,
    since several models may speak at a time; of one key, text and reasoning take turns.
    """

    def __init__(self, *, waiting_calls: Collection[str] = (), on_usage: OnUsage | None = None) -> None:
        self._chunks: list[Chunk] = []
        self._on_usage = on_usage
        self._open: dict[tuple[str, str], str] = {}
        self._calls = {call_id: _Call("", {}, whole=True) for call_id in waiting_calls}
        self._step = False
        self._answered = False
        self._finish_reason: str | None = None

    def take(self) -> list[Chunk]:
        """What was written since the last time."""
        chunks, self._chunks = self._chunks, []
        return chunks

    # -- text -----------------------------------------------------------------------------------------------------

    def text(self, text: str | None, key: str = "") -> None:
        """Go on with the text of `key`."""
        self._delta("text", text, key)

    def reasoning(self, text: str | None, key: str = "") -> None:
        """Go on with the reasoning of `key`."""
        self._delta("reasoning", text, key)

    def end_parts(self, key: str | None = None) -> None:
        """Close the text and the reasoning of `key`, or all."""
        for kind, opened in list(self._open):
            if key is None or opened == key:
                self._end(kind, opened)

    # -- calls ----------------------------------------------------------------------------------------------------

    def start_call(self, call_id: str, name: str, **marks: Any) -> None:
        """Show that a call begins; `marks` are fields of its chunks (`providerExecuted`, `dynamic`)."""
        if self._is_known(call_id):
            return
        self._make_call(call_id, name, marks)
        self._emit({"type": "tool-input-start", "toolCallId": call_id, "toolName": name, **marks})

    def call_delta(self, call_id: str, text: str | None) -> None:
        """Add to the arguments of a call that has begun."""
        call = self._calls.get(call_id)
        if text and call is not None and not call.whole:
            call.text.append(text)
            self._emit({"type": "tool-input-delta", "toolCallId": call_id, "inputTextDelta": text})

    def end_call(self, call_id: str) -> None:
        """The arguments are whole: read them as JSON; none are an empty object."""
        call = self._calls.get(call_id)
        if call is not None and not call.whole:
            self.call(call_id, call.name, "".join(call.text))

    def call(self, call_id: str, name: str, arguments: Any, **marks: Any) -> None:
        """A whole call; `arguments` as a value, or as JSON text."""
        if not self._is_known(call_id):
            self._make_call(call_id, name, marks)
        call = self._calls[call_id]
        if call.whole:
            return
        call.whole = True
        about = {"toolCallId": call_id, "toolName": call.name, **call.marks}
        try:
            given = orjson.loads(arguments or "{}") if isinstance(arguments, str) else as_json(arguments)
        except orjson.JSONDecodeError as error:
            call.answered = True
            why = f"The arguments are no JSON: {error}"
            self._emit({"type": "tool-input-error", **about, "input": arguments, "errorText": why})
            return
        self._emit({"type": "tool-input-available", **about, "input": given})

    def end_calls(self) -> None:
        """All calls that have begun are whole."""
        for call_id in list(self._calls):
            self.end_call(call_id)

    def output(self, call_id: str, output: Any, *, name: str = "", preliminary: bool = False) -> None:
        """What a call gave; one that nobody has shown yet is shown with `name`."""
        mark = {"preliminary": True} if preliminary else {}
        self._answer(call_id, name, {"type": "tool-output-available", "output": as_json(output), **mark})

    def output_error(self, call_id: str, text: str, *, name: str = "") -> None:
        """The call failed."""
        self._answer(call_id, name, {"type": "tool-output-error", "errorText": text})

    def denied(self, call_id: str) -> None:
        """The user did not allow the call."""
        self._answer(call_id, "", {"type": "tool-output-denied"})

    # -- the rest -------------------------------------------------------------------------------------------------

    def content(self, chunk: Chunk) -> None:
        """A part that comes whole, such as a source or a file."""
        self._ensure_step()
        self._emit(chunk)

    def chunk(self, chunk: Chunk) -> None:
        """A chunk of the author's own, as it is; it closes the loose text before it unless it is data."""
        kind = str(chunk.get("type", ""))
        if not kind.startswith("data-"):
            self.end_parts()
        if kind in ("start-step", "finish-step"):
            self._step, self._answered = kind == "start-step", False
        elif kind.startswith("tool-output-") and not chunk.get("preliminary"):
            self._answered = self._step
            if (call := self._calls.get(chunk.get("toolCallId", ""))) is not None:
                call.answered = True
        self._emit(chunk)

    def end_step(self) -> None:
        """The model call is over."""
        self.end_parts()
        self.end_calls()
        if self._step:
            self._emit({"type": "finish-step"})
        self._step = self._answered = False

    def finish(self, reason: str | None) -> None:
        """Why the last model call ended, in the provider's words."""
        if reason:
            self._finish_reason = finish_reason(_REASONS.get(reason.lower(), reason.lower()))

    def used(self, **tokens: int | None) -> None:
        """Tokens of one model call, in the AI SDK's names."""
        known = {name: count for name, count in tokens.items() if count}
        if known and self._on_usage is not None:
            self._on_usage(known)

    def close(self) -> None:
        """The stream is over."""
        self.end_step()
        if self._finish_reason is not None:
            self._emit({"type": "finish", "finishReason": self._finish_reason})

    def _delta(self, kind: str, text: str | None, key: str) -> None:
        if not text:
            return
        part_id = self._open.get((kind, key))
        if part_id is None:
            self._ensure_step()
            self._end("reasoning" if kind == "text" else "text", key)
            part_id = self._open[kind, key] = new_id()
            self._emit({"type": f"{kind}-start", "id": part_id})
        self._emit({"type": f"{kind}-delta", "id": part_id, "delta": text})

    def _end(self, kind: str, key: str) -> None:
        part_id = self._open.pop((kind, key), None)
        if part_id is not None:
            self._emit({"type": f"{kind}-end", "id": part_id})

    def _is_known(self, call_id: str) -> bool:
        """Whether the call was shown. Some models number the calls of each step anew."""
        call = self._calls.get(call_id)
        return call is not None and not call.answered

    def _make_call(self, call_id: str, name: str, marks: Mapping[str, Any]) -> None:
        self._ensure_step()
        for kind, key in list(self._open):
            if kind == "reasoning":
                self._end(kind, key)
        self._calls[call_id] = _Call(name, dict(marks))

    def _answer(self, call_id: str, name: str, chunk: Chunk) -> None:
        if call_id not in self._calls and name:
            self.call(call_id, name, {})
        self.end_call(call_id)
        call = self._calls.get(call_id)
        marks: Mapping[str, Any] = call.marks if call is not None else {}
        if not chunk.get("preliminary"):
            # What a provider ran by itself is part of the same model call.
            self._answered = self._answered or (self._step and not marks.get("providerExecuted"))
            if call is not None:
                call.answered = True
        self._emit({"type": chunk.pop("type"), "toolCallId": call_id, **chunk, **marks})

    def _ensure_step(self) -> None:
        if self._step and self._answered:
            self.end_step()
        if not self._step:
            self._step = True
            self._emit({"type": "start-step"})

    def _emit(self, chunk: Chunk) -> None:
        self._chunks.append(chunk)
