"""A UIMessage, whole, or again and again as it grows: only what is new is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatagent.agent.source.writer import Writer
from chatagent.ui.replay import parts_to_chunks

Part = dict[str, Any]


class SnapshotReader:
    """Reads snapshots of messages; another id is another message, whose parts follow."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._id: Any = None
        self._parts: list[Part] = []
        self._metadata: Any = None
        #: Id of the last part, while it may still grow.
        self._growing: str | None = None

    @staticmethod
    def reads(piece: Any) -> bool:
        """Whether `piece` is one of these."""
        return isinstance(piece, Mapping) and "parts" in piece

    def add(self, message: Mapping[str, Any]) -> None:
        """Write what this snapshot has more than the one before it."""
        if message.get("id") != self._id or not self._parts:
            self.close()
            self._id = message.get("id")
        if message.get("metadata") is not None and message["metadata"] != self._metadata:
            self._metadata = message["metadata"]
            self._writer.chunk({"type": "message-metadata", "messageMetadata": self._metadata})
        for index, part in enumerate(message["parts"]):
            if index >= len(self._parts):
                self._begin(dict(part))
            elif part != self._parts[index]:
                self._grow(self._parts[index], dict(part))
                self._parts[index] = dict(part)

    def close(self) -> None:
        """The message is whole."""
        self._close_text()
        if any(part["type"] == "step-start" for part in self._parts):
            self._writer.chunk({"type": "finish-step"})
        self._parts, self._metadata = [], None

    def _begin(self, part: Part) -> None:
        self._close_text()
        if part["type"] == "step-start" and any(each["type"] == "step-start" for each in self._parts):
            self._writer.chunk({"type": "finish-step"})
        self._parts.append(part)
        for chunk in _opening(part):
            if chunk["type"] in ("text-start", "reasoning-start"):
                self._growing = chunk["id"]
            elif chunk["type"] in ("text-end", "reasoning-end"):
                self._growing = None
            self._writer.chunk(chunk)

    def _grow(self, before: Part, part: Part) -> None:
        kind = part["type"]
        if kind in ("text", "reasoning"):
            if self._growing is not None and part["text"].startswith(before["text"]):
                if more := part["text"][len(before["text"]) :]:
                    self._writer.chunk({"type": f"{kind}-delta", "id": self._growing, "delta": more})
                if part.get("state") == "done":
                    self._close_text()
        elif kind.startswith(("tool-", "dynamic-tool", "data-")):
            known = [chunk["type"] for chunk in parts_to_chunks([before])]
            for chunk in parts_to_chunks([part]):
                # A call's chunks are told once; an output may come again, as may data.
                if chunk["type"] not in known or chunk["type"].startswith(("tool-output-", "data-")):
                    self._writer.chunk(chunk)

    def _close_text(self) -> None:
        if self._growing is not None:
            kind = self._parts[-1]["type"]
            self._writer.chunk({"type": f"{kind}-end", "id": self._growing})
            self._growing = None


def _opening(part: Part) -> list[dict[str, Any]]:
    """The chunks of one part; a text without a state may grow."""
    if part["type"] == "step-start":
        return [{"type": "start-step"}]
    return list(parts_to_chunks([part]))
