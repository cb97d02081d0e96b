"""What a reader has not seen of an answer that is told again from its start. Pure.

A replay is the same stream most of the time: then as many chunks are passed over as were seen. Where it is told in
other words (out of the history, or without the steps that a crash undid), the messages that both make are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from chatagent.ui import Fold
from chatagent.ui.replay import parts_to_chunks
from chatagent.ui.tool_part import is_tool
from chatagent.ui.tool_replay import tool_to_chunks

Chunk = dict[str, Any]
Part = dict[str, Any]
UIMessage = dict[str, Any]

#: Chunks that end an answer.
ENDS = ("finish", "abort", "error")


class Replay:
    """Compares an answer that is told again with the chunks that were seen of it.

    `again`: it is the answer to the same message sent again. `behind_prefix`: what the message held before this turn
    is told first, and ends where a second `start` comes.
    """

    def __init__(self, seen: Sequence[Chunk], *, again: bool, behind_prefix: bool) -> None:
        self._seen = seen
        self.again = again
        self._starts_to_skip = 2 if behind_prefix else 0
        self._at = 0
        self._same = True
        self.told: list[Chunk] = []
        #: Names of open parts, where the replay gave them others.
        self.renamed: dict[Any, Any] = {}

    @property
    def caught_up(self) -> bool:
        """Everything that was seen came again: what follows is new."""
        return self._same and self._at == len(self._seen)

    def take(self, chunk: Chunk) -> bool:
        """One chunk of the replay; true for the first one that is new."""
        if self._starts_to_skip:
            self._starts_to_skip -= chunk["type"] == "start"
            if self._starts_to_skip:
                return False
        if self.caught_up:
            return True
        self.told.append(chunk)
        if not self._same:
            return False
        seen = self._seen[self._at]
        self._same = _alike(seen, chunk)
        self._at += self._same
        if self._same and seen.get("id") != chunk.get("id"):
            self.renamed[chunk.get("id")] = seen.get("id")
        return False

    def other(self) -> bool:
        """Whether this is the answer of another turn."""
        return bool(self.told and (ours := message_id(self._seen)) and ours != (message_id(self.told) or ours))


def message_id(chunks: Sequence[Chunk]) -> str | None:
    """The id that the first of these chunks gives to their message."""
    found = chunks[0].get("messageId") if chunks and chunks[0]["type"] == "start" else None
    return found if isinstance(found, str) else None


def rest(fold: Fold, told: UIMessage) -> list[Chunk] | None:
    """The chunks that make what was folded into `told`; None when not even a `reset-step` can."""
    have, want = fold.message["parts"], told.get("parts") or []
    at = 0
    while at < min(len(have), len(want)) and have[at] == want[at]:
        at += 1
    if len(want) >= len(have) and all(_grows(old, new) for old, new in zip(have[at:], want[at:], strict=False)):
        opened = _open_ids(fold)
        chunks = [chunk for old, new in zip(have[at:], want[at:], strict=False) for chunk in _growth(old, new, opened)]
        chunks += parts_to_chunks(want[len(have) :])
    elif at >= fold.step_at and len(want) >= fold.step_at:
        chunks = [{"type": "reset-step"}, *parts_to_chunks(want[fold.step_at :])]
    else:
        return None
    if told.get("metadata") not in (None, fold.message.get("metadata")):
        chunks.append({"type": "message-metadata", "messageMetadata": told["metadata"]})
    return chunks


def _alike(seen: Chunk, told: Chunk) -> bool:
    """The same chunk; parts that were stored are told again under new names."""
    if seen == told:
        return True
    named = seen["type"].startswith(("text-", "reasoning-"))
    return named and {**seen, "id": None} == {**told, "id": None}


def _grows(old: Part, new: Part) -> bool:
    if old == new:
        return True
    if old["type"] != new["type"]:
        return False
    if old["type"] in ("text", "reasoning"):
        return old.get("state") == "streaming" and str(new["text"]).startswith(old["text"])
    if is_tool(old):
        return bool(old["toolCallId"] == new["toolCallId"])
    return old["type"].startswith("data-") and old.get("id") is not None and old["id"] == new.get("id")


def _growth(old: Part, new: Part, opened: dict[str, Iterator[Any]]) -> Iterator[Chunk]:
    if old["type"] in ("text", "reasoning"):
        if old.get("state") != "streaming":
            return
        part_id = next(opened[old["type"]])
        if len(new["text"]) > len(old["text"]):
            yield {"type": f"{old['type']}-delta", "id": part_id, "delta": new["text"][len(old["text"]) :]}
        if new.get("state") != "streaming":
            yield {"type": f"{old['type']}-end", "id": part_id}
    elif old != new:
        yield from tool_to_chunks(new) if is_tool(new) else [new]


def _open_ids(fold: Fold) -> dict[str, Iterator[Any]]:
    """The names of open parts, in the order of the parts."""
    ends = fold.closing()
    return {kind: iter([end["id"] for end in ends if end["type"] == f"{kind}-end"]) for kind in ("text", "reasoning")}
