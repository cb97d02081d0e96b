"""The reducer: the chunks of a UI message stream, folded into the message that they make.

Same results as a JavaScript server's copy (`processUIMessageStream` of ai 5.0.277, 6.0.326 and 7.0.173, AI SDK
reference §3.3): nothing is validated, unknown types are passed over, an `error` chunk changes nothing. A browser holds
the same as long as parts are closed before the stream ends and nothing follows an `error` (§3.7). Keys that are
undefined there are absent here; `null` is `None`.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable
from typing import Any, Literal

from chatagent.errors import StreamError
from chatagent.ids import new_id
from chatagent.ui.merge import merge_metadata
from chatagent.ui.step import Steps
from chatagent.ui.tool_call import Handler, ToolCalls
from chatagent.ui.tool_part import UNANSWERED, is_dynamic_tool, is_tool
from chatagent.ui.utf16 import whole

Chunk = dict[str, Any]
UIMessage = dict[str, Any]
Part = dict[str, Any]
Major = Literal[5, 6, 7]


def fold_message(chunks: Iterable[Chunk], initial: UIMessage | None = None, *, major: Major = 7) -> UIMessage:
    """The message that `chunks` make, or turn `initial` (the assistant message that they continue) into.

    A chunk that does not fit ends the fold; what came before it counts. `initial` is not changed.
    """
    fold = Fold(initial, major=major)
    with contextlib.suppress(StreamError):
        for chunk in chunks:
            fold.add(chunk)
    return fold.message


class _OpenText:
    """A text or reasoning part that still grows: joined when it is looked at, not at every delta."""

    __slots__ = ("part", "pieces")

    def __init__(self, part: Part) -> None:
        self.part = part
        self.pieces: list[str] = []

    def settle(self) -> None:
        if self.pieces:
            self.part["text"] = whole(self.part["text"] + "".join(self.pieces))
            self.pieces.clear()


class Fold:
    """A message that grows by one chunk at a time. The cost of a delta does not depend on what came before.

    The message refers to what the chunks hold (inputs, outputs, metadata): do not change those afterwards.
    """

    def __init__(self, initial: UIMessage | None = None, *, major: Major = 7) -> None:
        self._major = major
        self._message = _first_message(initial)
        self._steps = Steps(self._message["parts"])
        self._texts: dict[Any, _OpenText] = {}
        self._reasonings: dict[Any, _OpenText] = {}
        self._calls = ToolCalls(self._steps, major)
        self._data: dict[tuple[str, Any], Part] = {}
        self._index_data()
        #: Why the answer ended, once a `finish` chunk said so.
        self.finish_reason: str | None = None
        self._handlers = self._all_handlers()

    @property
    def message(self) -> UIMessage:
        """The message so far. It changes with later chunks: copy it to keep it."""
        for opened in (*self._texts.values(), *self._reasonings.values()):
            opened.settle()
        self._calls.settle()
        return self._message

    @property
    def metadata(self) -> Any:
        """The message's metadata so far; None when there is none. Unlike `message` it costs nothing to ask."""
        return self._message.get("metadata")

    @property
    def step_at(self) -> int:
        """Place of the first part of the current step; a `reset-step` removes what is from there on."""
        return self._steps.begin

    def add(self, chunk: Chunk) -> None:
        """Fold in one chunk. Raises: StreamError for one that refers to what is not there; nothing is changed then."""
        kind = chunk["type"]
        handler = self._handlers.get(kind)
        if handler is not None:
            handler(chunk)
        elif kind.startswith("data-"):
            self._add_data(chunk)

    def closing(self, dangling: str | None = None) -> list[Chunk]:
        """The chunks that close what is open; with `dangling`, unanswered tool calls end with it as their error."""
        ends: list[Chunk] = [{"type": "text-end", "id": part_id} for part_id in self._texts]
        ends += [{"type": "reasoning-end", "id": part_id} for part_id in self._reasonings]
        if dangling is None:
            return ends
        calls = [part for part in self._steps.parts if is_tool(part) and part.get("state") in UNANSWERED]
        return ends + [_ended_call(part, dangling) for part in calls]

    def _all_handlers(self) -> dict[str, Handler]:
        handlers: dict[str, Handler] = {
            "text-start": self._text_start,
            "text-delta": self._text_delta,
            "text-end": self._text_end,
            "reasoning-start": self._reasoning_start,
            "reasoning-delta": self._reasoning_delta,
            "reasoning-end": self._reasoning_end,
            "file": self._file,
            "source-url": self._source_url,
            "source-document": self._source_document,
            "start": self._start,
            "start-step": self._start_step,
            "finish": self._finish,
            "message-metadata": self._metadata,
            **self._calls.handlers(),
        }
        if self._major < 7:
            return handlers | {"finish-step": self._forget_open}
        return handlers | {
            "reasoning-file": self._file,
            "custom": self._custom,
            "steering-message": self._steering_message,
            "reset-step": self._reset_step,
        }

    # -- text and reasoning -------------------------------------------------------------------------------------

    def _text_start(self, chunk: Chunk) -> None:
        self._open(self._texts, chunk, {"type": "text", "text": ""})

    def _reasoning_start(self, chunk: Chunk) -> None:
        self._open(self._reasonings, chunk, {"type": "reasoning", **_given(chunk, "id"), "text": ""})

    def _text_delta(self, chunk: Chunk) -> None:
        _append(self._texts, chunk)

    def _reasoning_delta(self, chunk: Chunk) -> None:
        _append(self._reasonings, chunk)

    def _text_end(self, chunk: Chunk) -> None:
        part = _close(self._texts, chunk)
        if self._major >= 7 and chunk.get("citations") is not None:
            part["citations"] = chunk["citations"]

    def _reasoning_end(self, chunk: Chunk) -> None:
        _close(self._reasonings, chunk)

    def _open(self, opened: dict[Any, _OpenText], chunk: Chunk, part: Part) -> None:
        part |= _given(chunk, "providerMetadata")
        part["state"] = "streaming"
        part_id = chunk.get("id")
        if part_id in opened:
            # The older part of this id is orphaned: it stays `streaming` for ever.
            opened[part_id].settle()
        opened[part_id] = _OpenText(part)
        self._steps.parts.append(part)

    def _forget_open(self, chunk: Chunk) -> None:
        """Leave what is open as it is, for ever `streaming` (what clients of 5 and 6 do at `finish-step`)."""
        for opened in (*self._texts.values(), *self._reasonings.values()):
            opened.settle()
        self._texts.clear()
        self._reasonings.clear()

    # -- whole parts --------------------------------------------------------------------------------------------

    def _file(self, chunk: Chunk) -> None:
        part = _given(chunk, "type", "mediaType", "url")
        if self._major >= 6 and chunk.get("providerMetadata") is not None:
            part["providerMetadata"] = chunk["providerMetadata"]
        self._steps.parts.append(part)

    def _source_url(self, chunk: Chunk) -> None:
        self._steps.parts.append(_given(chunk, "type", "sourceId", "url", "title", "providerMetadata"))

    def _source_document(self, chunk: Chunk) -> None:
        names = ("type", "sourceId", "mediaType", "title", "filename", "providerMetadata")
        self._steps.parts.append(_given(chunk, *names))

    def _custom(self, chunk: Chunk) -> None:
        self._steps.parts.append(_given(chunk, "type", "kind", "providerMetadata"))

    def _steering_message(self, chunk: Chunk) -> None:
        self._steps.parts.append(_given(chunk, "type", "id", "parts"))

    def _add_data(self, chunk: Chunk) -> None:
        """A data chunk becomes a part as it is, or replaces the data of the part with its type and id."""
        if chunk.get("transient"):
            return
        key = (chunk["type"], chunk.get("id"))
        known = self._data.get(key) if key[1] is not None else None
        if known is not None:
            known.pop("data", None)
            known |= _given(chunk, "data")
            return
        part = dict(chunk)
        self._steps.parts.append(part)
        if key[1] is not None:
            self._data[key] = part

    def _index_data(self) -> None:
        self._data.clear()
        for part in self._steps.parts:
            kind = part.get("type")
            if isinstance(kind, str) and kind.startswith("data-") and part.get("id") is not None:
                self._data.setdefault((kind, part["id"]), part)

    # -- the message and its steps ------------------------------------------------------------------------------

    def _start(self, chunk: Chunk) -> None:
        if chunk.get("messageId") is not None:
            self._message["id"] = chunk["messageId"]
        self._metadata(chunk)

    def _start_step(self, chunk: Chunk) -> None:
        self._calls.release()
        self._steps.start()

    def _reset_step(self, chunk: Chunk) -> None:
        self._forget_open(chunk)
        self._calls.forget_inputs()
        if self._steps.reset():
            self._index_data()

    def _finish(self, chunk: Chunk) -> None:
        if chunk.get("finishReason") is not None:
            self.finish_reason = chunk["finishReason"]
        self._metadata(chunk)

    def _metadata(self, chunk: Chunk) -> None:
        metadata = chunk.get("messageMetadata")
        if metadata is not None:
            self._message["metadata"] = merge_metadata(self._message.get("metadata"), metadata)


def _first_message(initial: UIMessage | None) -> UIMessage:
    if initial is None or initial.get("role") != "assistant":
        return {"id": new_id(), "role": "assistant", "parts": []}
    message = copy.deepcopy(initial)
    message.setdefault("parts", [])
    return message


def _ended_call(part: Part, dangling: str) -> Chunk:
    """What ends a call that nobody will answer; one that the user denied stays denied."""
    if part["state"] == "approval-responded" and part["approval"].get("approved") is False:
        return {"type": "tool-output-denied", "toolCallId": part["toolCallId"]}
    dynamic = {"dynamic": True} if is_dynamic_tool(part) else {}
    return {"type": "tool-output-error", "toolCallId": part["toolCallId"], "errorText": dangling, **dynamic}


def _append(opened: dict[Any, _OpenText], chunk: Chunk) -> None:
    # The hot path: one call of this per token.
    found = opened.get(chunk.get("id"))
    if found is None:
        raise _missing(chunk)
    delta = chunk.get("delta")
    if not isinstance(delta, str):
        raise StreamError("a delta must be text", chunk_type=chunk["type"], chunk_id=chunk.get("id"))
    found.pieces.append(delta)
    if len(chunk) > 3 and chunk.get("providerMetadata") is not None:
        found.part["providerMetadata"] = chunk["providerMetadata"]


def _close(opened: dict[Any, _OpenText], chunk: Chunk) -> Part:
    found = opened.pop(chunk.get("id"), None)
    if found is None:
        raise _missing(chunk)
    found.settle()
    found.part["state"] = "done"
    if chunk.get("providerMetadata") is not None:
        found.part["providerMetadata"] = chunk["providerMetadata"]
    return found.part


def _given(chunk: Chunk, *names: str) -> Part:
    return {name: chunk[name] for name in names if name in chunk}


def _missing(chunk: Chunk) -> StreamError:
    kind, part_id = chunk["type"], chunk.get("id")
    start = kind.rpartition("-")[0] + "-start"
    return StreamError(
        f'{kind} for the missing part "{part_id}"; send {start} first', chunk_type=kind, chunk_id=part_id
    )
