"""A log without what a crash left behind: for a reader that starts from nothing and knows no `reset-step`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Chunk = dict[str, Any]


def drop_dead_steps(chunks: Iterable[Chunk]) -> list[Chunk]:
    """The chunks of one message, without `reset-step` and without the parts that it removes.

    A chunk in a dead step that changes a part from before it (a tool's output, data with an id) stays, as it does in
    a client that follows the log.
    """
    kept: list[Chunk] = []
    #: Where the current step begins in `kept`.
    begin = 0
    for chunk in chunks:
        if chunk["type"] == "reset-step":
            before = {key for each in kept[:begin] if (key := _makes(each)) is not None}
            kept[begin:] = [each for each in kept[begin:] if _outlives(each, before)]
            continue
        kept.append(chunk)
        if chunk["type"] == "start-step" or (chunk["type"] == "start" and not begin):
            begin = len(kept)
    return kept


def _makes(chunk: Chunk) -> tuple[str, Any] | None:
    """The part with an identity of its own that a chunk makes."""
    kind = chunk["type"]
    if kind in ("tool-input-start", "tool-input-available", "tool-input-error"):
        return ("tool", chunk["toolCallId"])
    if kind.startswith("data-") and chunk.get("id") is not None and not chunk.get("transient"):
        return (kind, chunk["id"])
    return None


def _outlives(chunk: Chunk, before: set[tuple[str, Any]]) -> bool:
    kind = chunk["type"]
    if kind in ("message-metadata", "start", "finish-step"):
        return True
    if kind.startswith("tool-"):
        made = {call_id for _, call_id in before}
        return chunk.get("toolCallId") in made if "toolCallId" in chunk else True
    return kind.startswith("data-") and (kind, chunk.get("id")) in before
