"""Telling a message again: as the chunks that make it (AI SDK reference §4.8), or from a log with dead ends."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import Any

from chatagent.ids import new_id
from chatagent.ui.tool_part import is_tool
from chatagent.ui.tool_replay import tool_to_chunks

#: Parts that come in one chunk, and its fields.
_WHOLE = {
    "file": ("mediaType", "url", "providerMetadata"),
    "reasoning-file": ("mediaType", "url", "providerMetadata"),
    "source-url": ("sourceId", "url", "title", "providerMetadata"),
    "source-document": ("sourceId", "mediaType", "title", "filename", "providerMetadata"),
    "custom": ("kind", "providerMetadata"),
    "steering-message": ("id", "parts"),
}

Chunk = dict[str, Any]
UIMessage = dict[str, Any]
Part = dict[str, Any]


def message_to_chunks(message: UIMessage) -> list[Chunk]:
    """The stream that folds to `message`, an assistant message.

    No chunk can say: a file's `filename` and `providerReference`, a reasoning part without an id, parts of unknown
    types, two calls of one step with the same id. Those come back without, or are left out.
    """
    start: Chunk = {"type": "start"}
    if message.get("id") is not None:
        start["messageId"] = message["id"]
    if message.get("metadata") is not None:
        start["messageMetadata"] = message["metadata"]
    return [start, *parts_to_chunks(message.get("parts") or ())]


def parts_to_chunks(parts: Iterable[Part]) -> Iterator[Chunk]:
    """The chunks that add these parts to a message."""
    open_step = False
    for part in parts:
        if part["type"] == "step-start":
            if open_step:
                yield {"type": "finish-step"}
            open_step = True
            yield {"type": "start-step"}
        else:
            yield from _chunks(part)
    if open_step:
        yield {"type": "finish-step"}


def replay(chunks: Iterable[Chunk]) -> list[Chunk]:
    """A log without `reset-step` and what it took back: the same message in clients of every generation."""
    kept: list[Chunk] = []
    step: list[Chunk] = []
    for chunk in chunks:
        if chunk["type"] == "reset-step":
            kept += _survivors(step, {_about(each) for each in kept})
            step = []
        elif chunk["type"] == "start-step":
            kept += [*step, chunk]
            step = []
        else:
            step.append(chunk)
    return kept + step


def _survivors(step: Iterable[Chunk], known: Container[tuple[str, Any]]) -> Iterator[Chunk]:
    """Of a step that was taken back, what changed the message outside of it."""
    made: set[tuple[str, Any]] = set()
    for chunk in step:
        kind, about = chunk["type"], _about(chunk)
        if kind in ("start", "message-metadata"):
            yield chunk
        elif kind.startswith("data-"):
            if about in known and chunk.get("id") is not None and not chunk.get("transient"):
                yield chunk
        elif kind.startswith("tool-input-") or kind in ("text-start", "reasoning-start"):
            made.add(about)
        elif about in made:
            if kind == "tool-approval-request":
                made.add(("approval", chunk.get("approvalId")))
        elif kind.startswith(("text-", "reasoning-", "tool-")) and kind != "reasoning-file":
            yield chunk


def _about(chunk: Chunk) -> tuple[str, Any]:
    """What a chunk makes or changes."""
    kind: str = chunk["type"]
    if kind == "tool-approval-response":
        return "approval", chunk.get("approvalId")
    if kind.startswith("tool-"):
        return "tool", chunk.get("toolCallId")
    if kind.startswith(("text-", "reasoning-")):
        return kind.partition("-")[0], chunk.get("id")
    return kind, chunk.get("id")


def _chunks(part: Part) -> Iterator[Chunk]:
    kind: str = part["type"]
    if kind in ("text", "reasoning"):
        yield from _text(part)
    elif is_tool(part):
        yield from tool_to_chunks(part)
    elif kind.startswith("data-"):
        yield {name: value for name, value in part.items() if name != "transient" or not value}
    elif kind in _WHOLE:
        yield _fields(part, "type", *_WHOLE[kind])


def _text(part: Part) -> Iterator[Chunk]:
    kind = part["type"]
    part_id = part["id"] if part.get("id") is not None else new_id()
    yield {"type": f"{kind}-start", "id": part_id, **_fields(part, "providerMetadata")}
    if part.get("text"):
        yield {"type": f"{kind}-delta", "id": part_id, "delta": part["text"]}
    if part.get("state") != "streaming":
        yield {"type": f"{kind}-end", "id": part_id, **_fields(part, "citations")}


def _fields(part: Part, *names: str) -> Chunk:
    return {name: part[name] for name in names if name in part}
