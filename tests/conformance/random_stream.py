"""Random streams, from a seed: most of their chunks fit, some do not, and nothing in them is careful."""

from __future__ import annotations

from random import Random
from typing import Any

Chunk = dict[str, Any]

_CALLS = ("c1", "c2", "c3")
_FRAGMENTS = (
    '{"a":',
    "1",
    ".5",
    '"x',
    '"',
    "\\",
    "u00",
    "e9",
    "[",
    "]",
    "}",
    ",",
    "tr",
    "ue",
    "nul",
    "{",
    ":",
    "-",
    "e",
)
#: How often each type comes.
_WEIGHTS = {
    "start": 2,
    "finish": 1,
    "abort": 1,
    "error": 1,
    "message-metadata": 3,
    "start-step": 8,
    "finish-step": 4,
    "reset-step": 2,
    "text-start": 8,
    "text-delta": 14,
    "text-end": 6,
    "reasoning-start": 6,
    "reasoning-delta": 10,
    "reasoning-end": 4,
    "file": 2,
    "reasoning-file": 2,
    "source-url": 2,
    "source-document": 2,
    "custom": 2,
    "steering-message": 2,
    "tool-input-start": 12,
    "tool-input-delta": 18,
    "tool-input-available": 12,
    "tool-input-error": 4,
    "tool-output-available": 12,
    "tool-output-error": 6,
    "tool-approval-request": 5,
    "tool-approval-response": 4,
    "tool-output-denied": 4,
    "data-x": 8,
    "data-y": 4,
    "of-the-future": 1,
}
_NEEDS = {
    "text-delta": "text",
    "text-end": "text",
    "reasoning-delta": "reasoning",
    "reasoning-end": "reasoning",
    "tool-input-delta": "input",
    "tool-output-available": "call",
    "tool-output-error": "call",
    "tool-output-denied": "call",
    "tool-approval-request": "call",
    "tool-approval-response": "approval",
}


class RandomStream:
    """Draws chunks; `stream` most of the time only such as fit what came before."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def stream(self) -> list[Chunk]:
        """A sequence of chunks."""
        known: dict[str, set[str]] = {kind: set() for kind in ("text", "reasoning", "input", "call", "approval")}
        chunks: list[Chunk] = []
        size = self._random.randrange(3, 28)
        while len(chunks) < size:
            chunk = self.chunk()
            kind, need = chunk["type"], _NEEDS.get(chunk["type"])
            name = chunk.get("id") or chunk.get("approvalId" if need == "approval" else "toolCallId")
            if need is None or name in known[need] or self._chance(0.1):
                self._learn(kind, chunk, known)
                chunks.append(chunk)
        return chunks

    def chunk(self) -> Chunk:
        """One chunk."""
        kind = self._random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        return {"type": kind, **self._fields(kind)}

    def value(self, depth: int = 0) -> Any:
        """Any JSON."""
        match self._random.randrange(10 if depth < 3 else 6):
            case 0:
                return None
            case 1:
                return self._chance(0.5)
            case 2:
                return self._pick(0, 1, -3, 1.5, 1e20, 123456789012)
            case 3 | 4 | 5:
                return self._pick("", "x", "é", "😀", "a\u2028b", 'q"\\')
            case 6 | 7:
                return [self.value(depth + 1) for _ in range(self._random.randrange(3))]
        names = ("k", "l", "constructor", "toString", "0")
        return {self._pick(*names): self.value(depth + 1) for _ in range(self._random.randrange(3))}

    def _learn(self, kind: str, chunk: Chunk, known: dict[str, set[str]]) -> None:
        if kind in ("text-start", "reasoning-start"):
            known[kind.removesuffix("-start")].add(chunk["id"])
        elif kind in ("text-end", "reasoning-end"):
            known[kind.removesuffix("-end")].discard(chunk["id"])
        elif kind in ("finish-step", "reset-step"):
            known["text"], known["reasoning"] = set(), set()
        elif kind == "tool-approval-request":
            known["approval"].add(chunk["approvalId"])
        elif kind.startswith("tool-input-"):
            known["call"].add(chunk["toolCallId"])
            if kind == "tool-input-start":
                known["input"].add(chunk["toolCallId"])

    def _fields(self, kind: str) -> Chunk:
        if kind.startswith("tool-"):
            return self._tool_fields(kind)
        if kind.startswith(("text-", "reasoning-")) and kind != "reasoning-file":
            delta = {"delta": self._pick("hi ", "", "é", "😀", "\ud83d", "\ude00")} if kind.endswith("-delta") else {}
            cited = self._maybe(citations=[]) if kind == "text-end" else {}
            return {"id": self._pick("a", "b", "__proto__"), **delta, **cited, **self._meta()}
        address = {"url": "https://x.example/y", "mediaType": "image/png"}
        match kind:
            case "start":
                return self._maybe(messageId=self._pick("m1", "m2"), messageMetadata=self.value())
            case "finish":
                return self._maybe(finishReason="stop", messageMetadata=self.value())
            case "message-metadata":
                return {"messageMetadata": self.value()}
            case "error":
                return {"errorText": "boom"}
            case "file" | "reasoning-file":
                return {**address, **self._meta(), **self._maybe(filename="f")}
            case "source-url":
                return {"sourceId": "s", "url": "u", **self._maybe(title="T"), **self._meta()}
            case "source-document":
                shown = {"sourceId": "s", "mediaType": "a/b", "title": "T"}
                return {**shown, **self._maybe(filename="f"), **self._meta()}
            case "custom":
                return {"kind": "p.k", **self._meta()}
            case "steering-message":
                return {"id": "st", "parts": [{"type": "text", "text": "x"}]}
            case "data-x" | "data-y":
                shown = self._maybe(id=self._pick("d1", "d2", ""), transient=self._chance(0.5), extra=1)
                return {**shown, **({"data": self.value()} if self._chance(0.9) else {})}
        return {}

    def _tool_fields(self, kind: str) -> Chunk:
        call: Chunk = {"toolCallId": self._pick(*_CALLS)}
        shown = self._maybe(dynamic=self._chance(0.8), providerExecuted=self._chance(0.5), title="T")
        shown |= self._maybe(toolMetadata={"k": self.value(2)}) | self._meta()
        named = {**call, "toolName": self._pick("w", "my-tool", "x")}
        match kind:
            case "tool-input-start":
                return {**named, **shown, **self._maybe(inputEncoding=self._pick("json", "text"))}
            case "tool-input-delta":
                return {
                    **call,
                    "inputTextDelta": "".join(self._random.choices(_FRAGMENTS, k=self._random.randrange(4))),
                }
            case "tool-input-available":
                return {**named, **self._maybe(input=self.value()), **shown}
            case "tool-input-error":
                return {**named, **self._maybe(input=self.value()), "errorText": "bad", **shown}
            case "tool-output-available":
                return {**call, **self._maybe(output=self.value(), preliminary=self._chance(0.5)), **shown}
            case "tool-output-error":
                return {**call, "errorText": "oops", **shown}
            case "tool-approval-request":
                asked = self._maybe(approvalDescriptor=self.value(), inputSchemaInput=self.value(), signature="s")
                asked |= self._maybe(reason="why", isAutomatic=self._chance(0.5))
                return {**call, "approvalId": self._pick("a1", "a2"), **asked}
            case "tool-approval-response":
                answer = {"approvalId": self._pick("a1", "a2"), "approved": self._chance(0.5)}
                return {**answer, **self._maybe(reason="no", providerExecuted=True), **self._meta()}
        return call

    def _meta(self) -> Chunk:
        return {"providerMetadata": {"p": {"a": self.value(2)}}} if self._chance(0.2) else {}

    def _maybe(self, **fields: Any) -> Chunk:
        return {name: value for name, value in fields.items() if self._chance(0.3)}

    def _pick(self, *values: Any) -> Any:
        return self._random.choice(values)

    def _chance(self, share: float) -> bool:
        return self._random.random() < share
