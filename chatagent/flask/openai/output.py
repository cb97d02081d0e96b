"""What an answer consists of, for clients that know text, reasoning and tool calls: read off its chunks. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Chunk = Mapping[str, Any]

#: How tool calls end in the stream.
_ANSWERED = ("tool-output-available", "tool-output-error", "tool-output-denied", "tool-input-error")


@dataclass(slots=True, eq=False)
class Item:
    """A stretch of text or reasoning."""

    number: int
    kind: Literal["text", "reasoning"]
    text: str = ""
    #: A crash took it back: it is not part of the answer.
    dropped: bool = False


@dataclass(slots=True)
class Call:
    """A tool call that waits for the client, for its output or (with `approval`) for a yes."""

    id: str
    name: str
    arguments: str
    approval: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One step of an item: it begins, grows by `delta`, or ends."""

    what: Literal["begin", "grow", "end"]
    item: Item
    delta: str = ""


class Output:
    """An answer as it grows. Files, sources, data parts and tools that the agent ran itself are left out."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.finish_reason = "stop"
        self.stopped = False
        self.error: str | None = None
        self._calls: dict[str, Call] = {}
        self._open: dict[tuple[str, str], Item] = {}
        self._step = 0
        self._step_calls: list[str] = []

    @property
    def waiting(self) -> list[Call]:
        """Calls that wait for the client, in order."""
        return list(self._calls.values())

    def text(self, kind: str = "text") -> str:
        """All that was said (or thought), its stretches apart."""
        return "\n\n".join(item.text for item in self.items if item.kind == kind and item.text)

    def take(self, chunk: Chunk) -> list[Change]:
        """Add a chunk; what changed by it."""
        kind = str(chunk["type"])
        stretch, _, step = kind.partition("-")
        if stretch in ("text", "reasoning") and step in ("start", "delta", "end"):
            return self._stretch(stretch, step, chunk)
        match kind:
            case "start-step":
                self._step, self._step_calls = len(self.items), []
            case "reset-step":
                return self._drop_step()
            case "finish":
                self.finish_reason = str(chunk.get("finishReason") or "stop")
                return self.end()
            case "abort":
                self.stopped = True
                return self.end()
            case "error":
                self.error = str(chunk.get("errorText") or "the answer failed")
                return self.end()
            case _ if kind.startswith("tool-"):
                self._tool(kind, chunk)
        return []

    def end(self) -> list[Change]:
        """End what is still open."""
        ended = [Change("end", item) for item in self._open.values()]
        self._open.clear()
        return ended

    def _stretch(self, kind: str, step: str, chunk: Chunk) -> list[Change]:
        key, changes = (kind, str(chunk["id"])), list[Change]()
        item = self._open.get(key)
        if item is None:
            if step == "end":
                return []
            item = Item(len(self.items), "text" if kind == "text" else "reasoning")
            self._open[key] = item
            self.items.append(item)
            changes.append(Change("begin", item))
        delta = chunk.get("delta")
        if step == "delta" and delta:
            item.text += delta
            changes.append(Change("grow", item, delta))
        if step == "end":
            del self._open[key]
            changes.append(Change("end", item))
        return changes

    def _drop_step(self) -> list[Change]:
        """A worker died in the step: it is done again, and what it had said does not count."""
        for item in self.items[self._step :]:
            item.dropped = True
        del self.items[self._step :]
        for call_id in self._step_calls:
            self._calls.pop(call_id, None)
        return self.end()

    def _tool(self, kind: str, chunk: Chunk) -> None:
        call_id = str(chunk.get("toolCallId"))
        if kind == "tool-input-available":
            arguments = json.dumps(chunk.get("input"), ensure_ascii=False)
            self._calls[call_id] = Call(call_id, str(chunk.get("toolName")), arguments)
            self._step_calls.append(call_id)
        elif kind in _ANSWERED and not chunk.get("preliminary"):
            self._calls.pop(call_id, None)
        elif kind == "tool-approval-request" and call_id in self._calls:
            self._calls[call_id].approval = str(chunk.get("approvalId"))
        elif kind == "tool-approval-response":
            for call in self._calls.values():
                if call.approval == chunk.get("approvalId"):
                    call.approval = None
