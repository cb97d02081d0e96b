"""The reducer: UI message chunks → the message they make.

Follows the semantics of the server's copy in the AI SDK (`processUIMessageStream` of ai 5.0.277, 6.0.326, 7.0.173):
nothing is validated, unknown chunk types are ignored, and a chunk that does not fit ends the fold. Keys that are
undefined there are absent here; `null` is `None`.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable
from typing import Any, Literal

from chatagent.errors import StreamError
from chatagent.ids import new_id
from chatagent.ui.merge import merge_metadata
from chatagent.ui.tool_part import ToolParts, is_tool

Chunk = dict[str, Any]
UIMessage = dict[str, Any]
Part = dict[str, Any]
Major = Literal[5, 6, 7]

#: Chunks that came with a later generation of the client and that older ones ignore.
_SINCE = {
    "tool-approval-request": 6,
    "tool-output-denied": 6,
    "tool-approval-response": 7,
    "custom": 7,
    "reasoning-file": 7,
    "steering-message": 7,
    "reset-step": 7,
}

#: Half of a UTF-16 pair.
_HALF = re.compile("[\ud800-\udfff]")
#: Tool calls that nobody will answer any more once the turn is cut off.
_UNANSWERED = ("input-streaming", "input-available", "approval-responded")


def fold_message(chunks: Iterable[Chunk], initial: UIMessage | None = None, *, major: Major = 7) -> UIMessage:
    """The message that `chunks` make, or turn `initial` (the assistant message that they continue) into.

    A chunk that does not fit ends the fold; what came before it counts. `initial` is not changed.
    """
    fold = Fold(initial, major=major)
    for chunk in chunks:
        try:
            fold.add(chunk)
        except StreamError:
            break
    return fold.message


class Fold:
    """A message that grows by one chunk at a time. Cost per text delta does not depend on what came before."""

    def __init__(self, initial: UIMessage | None = None, *, major: Major = 7) -> None:
        self._major = major
        self._message: UIMessage = copy.deepcopy(initial) if initial else _empty()
        self._parts: list[Part] = self._message["parts"]
        self._open: dict[tuple[str, Any], _OpenText] = {}
        self._tools = ToolParts(self._parts, major)
        self.finish_reason: str | None = None
        self._handlers: dict[str, Callable[[Chunk], None]] = {
            name: handler for name, handler in self._all_handlers().items() if _SINCE.get(name, 0) <= major
        }

    @property
    def message(self) -> UIMessage:
        """The message so far. It changes with later chunks: copy it to keep it."""
        for part in self._open.values():
            part.settle()
        return self._message

    def add(self, chunk: Chunk) -> None:
        """Fold in one chunk. Raises: StreamError for one that refers to what is not there."""
        name = chunk["type"]
        handler = self._handlers.get(name)
        if handler is not None:
            handler(chunk)
        elif name.startswith("data-"):
            self._data(chunk)

    def closing(self, dangling: str | None = None) -> list[Chunk]:
        """The chunks that close what is open; with `dangling`, unanswered tool calls end with it as their error."""
        ends = [{"type": f"{kind}-end", "id": part_id} for kind, part_id in self._open]
        if dangling is None:
            return ends
        calls = [part for part in self._parts if is_tool(part) and part["state"] in _UNANSWERED]
        return ends + [
            {
                "type": "tool-output-error",
                "toolCallId": part["toolCallId"],
                "errorText": dangling,
                **({"dynamic": True} if part["type"] == "dynamic-tool" else {}),
            }
            for part in calls
        ]

    def _all_handlers(self) -> dict[str, Callable[[Chunk], None]]:
        tools = self._tools
        return {
            "text-delta": self._text_delta,
            "reasoning-delta": self._text_delta,
            "text-start": self._text_start,
            "text-end": self._text_end,
            "reasoning-start": self._text_start,
            "reasoning-end": self._text_end,
            "tool-input-start": tools.input_start,
            "tool-input-delta": tools.input_delta,
            "tool-input-available": tools.input_available,
            "tool-input-error": tools.input_error,
            "tool-output-available": tools.output_available,
            "tool-output-error": tools.output_error,
            "tool-output-denied": tools.output_denied,
            "tool-approval-request": tools.approval_request,
            "tool-approval-response": tools.approval_response,
            "start": self._start,
            "start-step": self._start_step,
            "finish-step": self._finish_step,
            "reset-step": self._reset_step,
            "finish": self._finish,
            "message-metadata": self._metadata,
            "file": self._file,
            "reasoning-file": self._file,
            "source-url": self._append("sourceId", "url", "title", "providerMetadata"),
            "source-document": self._append("sourceId", "mediaType", "title", "filename", "providerMetadata"),
            "custom": self._append("kind", "providerMetadata"),
            "steering-message": self._append("id", "parts"),
        }

    # -- text and reasoning -------------------------------------------------------------------------------------

    def _text_start(self, chunk: Chunk) -> None:
        kind = chunk["type"][:-6]
        part: Part = {"type": kind, "text": "", "state": "streaming"}
        if kind == "reasoning":
            part["id"] = chunk.get("id")
        if "providerMetadata" in chunk:
            part["providerMetadata"] = chunk["providerMetadata"]
        self._open[kind, chunk.get("id")] = _OpenText(part)
        self._parts.append(part)

    def _text_delta(self, chunk: Chunk) -> None:
        # "text-delta" and "reasoning-delta", the two hot ones.
        found = self._open.get((chunk["type"][:-6], chunk.get("id")))
        if found is None:
            raise self._missing(chunk)
        found.pieces.append(chunk["delta"])
        if chunk.get("providerMetadata") is not None:
            found.part["providerMetadata"] = chunk["providerMetadata"]

    def _text_end(self, chunk: Chunk) -> None:
        found = self._open.pop((chunk["type"][:-4], chunk.get("id")), None)
        if found is None:
            raise self._missing(chunk)
        found.settle()
        found.part["state"] = "done"
        if self._major >= 7 and chunk["type"] == "text-end" and chunk.get("citations") is not None:
            found.part["citations"] = chunk["citations"]
        if chunk.get("providerMetadata") is not None:
            found.part["providerMetadata"] = chunk["providerMetadata"]

    def _missing(self, chunk: Chunk) -> StreamError:
        kind, found = chunk["type"].split("-")[0], chunk.get("id")
        return StreamError(
            f'{chunk["type"]} for the missing {kind} part "{found}"; send {kind}-start first',
            chunk_type=chunk["type"],
            chunk_id=found,
        )

    # -- the message and its steps ------------------------------------------------------------------------------

    def _start(self, chunk: Chunk) -> None:
        if chunk.get("messageId") is not None:
            self._message["id"] = chunk["messageId"]
        self._metadata(chunk)

    def _start_step(self, chunk: Chunk) -> None:
        self._parts.append({"type": "step-start"})
        self._tools.step_at = len(self._parts)

    def _finish_step(self, chunk: Chunk) -> None:
        if self._major < 7:
            # Older clients forget open parts here; they stay `streaming` for ever.
            self._forget_open()

    def _reset_step(self, chunk: Chunk) -> None:
        self._forget_open()
        self._tools.forget()
        del self._parts[self._tools.step_at :]

    def _finish(self, chunk: Chunk) -> None:
        if chunk.get("finishReason") is not None:
            self.finish_reason = chunk["finishReason"]
        self._metadata(chunk)

    def _metadata(self, chunk: Chunk) -> None:
        metadata = chunk.get("messageMetadata")
        if metadata is not None:
            old = self._message.get("metadata")
            self._message["metadata"] = metadata if old is None else merge_metadata(old, metadata)

    def _forget_open(self) -> None:
        for part in self._open.values():
            part.settle()
        self._open.clear()

    # -- other parts --------------------------------------------------------------------------------------------

    def _append(self, *names: str) -> Callable[[Chunk], None]:
        def append(chunk: Chunk) -> None:
            self._parts.append({"type": chunk["type"], **{name: chunk[name] for name in names if name in chunk}})

        return append

    def _file(self, chunk: Chunk) -> None:
        shown: Part = {name: chunk[name] for name in ("mediaType", "url") if name in chunk}
        part: Part = {"type": chunk["type"], **shown}
        if self._major >= 6 and chunk.get("providerMetadata") is not None:
            part["providerMetadata"] = chunk["providerMetadata"]
        self._parts.append(part)

    def _data(self, chunk: Chunk) -> None:
        if chunk.get("transient"):
            return
        if chunk.get("id") is not None:
            for part in self._parts:
                if part["type"] == chunk["type"] and part.get("id") == chunk["id"]:
                    part.pop("data", None)
                    if "data" in chunk:
                        part["data"] = chunk["data"]
                    return
        self._parts.append(dict(chunk))


class _OpenText:
    """A text or reasoning part that still grows: joined when it is looked at, not at every delta."""

    __slots__ = ("part", "pieces")

    def __init__(self, part: Part) -> None:
        self.part = part
        self.pieces: list[str] = []

    def settle(self) -> None:
        if self.pieces:
            text = self.part["text"] + "".join(self.pieces)
            self.part["text"] = text if _HALF.search(text) is None else _pair_halves(text)
            self.pieces.clear()


def _pair_halves(text: str) -> str:
    """Join halves of one character that came in two deltas; JavaScript's strings do so by nature."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _empty() -> UIMessage:
    return {"id": new_id(), "role": "assistant", "parts": []}
