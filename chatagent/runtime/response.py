"""The answer of a turn as it grows: one `start`, one end, whatever was piped in between, folded as it is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chatagent.ui import Fold, close_open_parts, validate_chunk

Chunk = dict[str, Any]
UIMessage = dict[str, Any]


class Response:
    """Folds and forwards the chunks of one turn.

    Sources may each bring a `start`, `finish`, `abort` or `error`; the turn has exactly one start, and exactly one
    end, which comes last because clients stop reading at it.
    """

    def __init__(self, message_id: str, initial: UIMessage | None, emit: Callable[[Chunk], None]) -> None:
        self.message_id = message_id
        self.finish_reason: str | None = None
        self.error_text: str | None = None
        self._emit = emit
        self._initial = initial
        self._fold = Fold(initial if initial is not None else {"id": message_id, "role": "assistant", "parts": []})
        self._finish_metadata: Any = None

    @property
    def message(self) -> UIMessage:
        """The message so far; empty `parts` when nothing was answered."""
        return self._fold.message

    @property
    def empty(self) -> bool:
        """Nothing worth keeping was written."""
        return not any(part.get("type") != "step-start" for part in self.message["parts"])

    def start(self) -> None:
        """Open the answer; clients show it from here on."""
        self._write({"type": "start", "messageId": self.message_id})

    def write(self, chunk: Chunk) -> None:
        """Add one chunk of a source. Raises: BadRequest for one that clients would refuse, StreamError."""
        validate_chunk(chunk)
        match chunk["type"]:
            case "start":
                self._metadata(chunk.get("messageMetadata"))
            case "finish":
                self.finish_reason = chunk.get("finishReason", self.finish_reason)
                self._finish_metadata = chunk.get("messageMetadata", self._finish_metadata)
            case "abort":
                self.finish_reason = None
            case "error":
                self.error_text = chunk["errorText"]
            case _:
                self._write(chunk)

    def close_parts(self, dangling: str | None) -> None:
        """Close what is open, so that browsers and the store hold the same; `dangling` ends unanswered tool calls."""
        for chunk in close_open_parts(self.message, dangling):
            self._write(chunk)

    def end(self, *, stopped: bool) -> None:
        """Write the one end: `error`, `abort` or `finish`."""
        if self.error_text is not None:
            self._emit({"type": "error", "errorText": self.error_text})
        elif stopped:
            self._metadata(self._finish_metadata)
            self._emit({"type": "abort"})
        else:
            reason = {"finishReason": self.finish_reason or "stop"}
            metadata = {} if self._finish_metadata is None else {"messageMetadata": self._finish_metadata}
            self._write({"type": "finish", **reason, **metadata})

    def _metadata(self, metadata: Any) -> None:
        if metadata is not None:
            self._write({"type": "message-metadata", "messageMetadata": metadata})

    def _write(self, chunk: Chunk) -> None:
        self._fold.add(chunk)
        self._emit(chunk)
