"""The stream as older clients understand it: what they do not know is said otherwise or left out, never sent.

One chunk that a client refuses ends its stream (AI SDK reference §0), and no client says which release it is. Which
release learned what: reference §1 and §2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from chatagent.record import chunk_type
from chatagent.ui.chunk import FINISH_REASONS
from chatagent.ui.encode import decode, encode
from chatagent.ui.steering import STEERING, as_data
from chatagent.ui.tool_part import DENIED, Part, is_dynamic_tool, is_tool

Chunk = dict[str, Any]
Handler = Callable[[Chunk], list[Chunk]]

#: What a tool call of a step that is done again ends with, in clients that cannot take it back.
REDONE = "The call was cut off and is made again."

_DELTAS = ("text-delta", "reasoning-delta", "tool-input-delta")
#: Neither tracked nor different in any generation.
_SAME = frozenset({*_DELTAS, "start", "message-metadata", "error", "abort", "file", "source-url", "source-document"})
_META = ("id", "providerMetadata")
_CALL = ("toolCallId", "providerExecuted", "dynamic")
_NAMED = (*_CALL, "toolName")
#: All that the releases from 5.0.92, 6.0.0 and 7.0.0 on accept; the early ones refuse any further field.
_PORTABLE: dict[str, tuple[str, ...]] = {
    "start": ("messageId", "messageMetadata"),
    "finish": ("finishReason", "messageMetadata"),
    "abort": (),
    "error": ("errorText",),
    "message-metadata": ("messageMetadata",),
    "start-step": (),
    "finish-step": (),
    "text-start": _META,
    "text-end": _META,
    "reasoning-start": _META,
    "reasoning-end": _META,
    "file": ("url", "mediaType", "providerMetadata"),
    "source-url": ("sourceId", "url", "title", "providerMetadata"),
    "source-document": ("sourceId", "mediaType", "title", "filename", "providerMetadata"),
    "tool-input-start": _NAMED,
    "tool-input-available": (*_NAMED, "input", "providerMetadata"),
    "tool-input-error": (*_NAMED, "input", "errorText", "providerMetadata"),
    "tool-output-available": (*_CALL, "output", "preliminary"),
    "tool-output-error": (*_CALL, "errorText"),
}
_PORTABLE_DATA = ("id", "data", "transient")


@dataclass(slots=True)
class _Call:
    dynamic: bool
    step: int
    answered: bool = False
    reason: str | None = None
    #: The chunk with its input.
    announced: Chunk | None = None


class Dialect:
    """Translates one stream, from its first chunk on, for clients of one generation.

    `major` means the current releases of that generation; None is what all releases from 5.0.92, 6.0.0 and 7.0.0 on
    accept. Chunk types unknown to the client become a data part `data-<type>` that holds their fields, a steering
    message one that Trigger.dev's client knows (for 7 only with `steering_as_data`). The parts of a step that is done
    again (`reset-step`) cannot be taken back before 7: they are closed, and the step starts anew. `held` are the parts
    of the message that the stream goes on with, as the client has them.
    """

    def __init__(
        self, major: Literal[5, 6, 7] | None, *, steering_as_data: bool = False, held: Iterable[Part] = ()
    ) -> None:
        self.major = major
        self._steering_as_data = steering_as_data
        self._level = major or 5
        self._relayed = frozenset(_DELTAS) if major is None else _SAME
        self._open: dict[tuple[str, Any], None] = {}
        self._calls: dict[Any, _Call] = {part.get("toolCallId"): _held(part) for part in held if is_tool(part)}
        self._asked: dict[Any, Any] = {}
        self._step = 0
        self._in_step = False
        self._handlers = self._all_handlers()

    def passthrough(self, type_name: str) -> bool:
        """Whether chunks of this type are sent as they are, unseen."""
        if self._level >= 7:
            return type_name != STEERING or not self._steering_as_data
        if type_name in self._relayed:
            return True
        return self.major is not None and type_name.startswith("data-")

    def encode(self, raw: bytes) -> list[bytes]:
        """What is sent for one encoded chunk."""
        if self.passthrough(chunk_type(raw)):
            return [raw]
        chunk = decode(raw)
        return [raw if each is chunk else encode(each) for each in self.translate(chunk)]

    def translate(self, chunk: Chunk) -> list[Chunk]:
        """What is sent for one chunk: the chunk itself where nothing is to change."""
        kind: str = chunk["type"]
        if self.passthrough(kind):
            return [chunk]
        handler = self._handlers.get(kind, _unchanged if kind in _PORTABLE or kind.startswith("data-") else _left_out)
        sent = handler(chunk)
        return [_portable(each) for each in sent] if self.major is None else sent

    def _all_handlers(self) -> dict[str, Handler]:
        known = self._level >= 6
        return {
            "text-start": self._started,
            "text-end": self._ended,
            "reasoning-start": self._started,
            "reasoning-end": self._ended,
            "start-step": self._start_step,
            "finish-step": self._finish_step,
            "reset-step": self._reset_step,
            "finish": _finish,
            "tool-input-start": self._called,
            "tool-input-available": self._announced,
            "tool-input-error": self._input_error,
            "tool-output-available": self._answered,
            "tool-output-error": self._answered,
            "tool-output-denied": self._answered if known else self._denied,
            "tool-approval-request": self._asked_for,
            "tool-approval-response": self._let_go if known else self._responded,
            "reasoning-file": lambda chunk: [{**chunk, "type": "file"}],
            "custom": lambda chunk: [_as_data(chunk)],
            STEERING: lambda chunk: [as_data(chunk)],
        }

    # -- text and steps -----------------------------------------------------------------------------------------

    def _started(self, chunk: Chunk) -> list[Chunk]:
        self._open[chunk["type"].removesuffix("-start"), chunk.get("id")] = None
        return [chunk]

    def _ended(self, chunk: Chunk) -> list[Chunk]:
        self._open.pop((chunk["type"].removesuffix("-end"), chunk.get("id")), None)
        return [chunk]

    def _start_step(self, chunk: Chunk) -> list[Chunk]:
        self._step += 1
        self._in_step = True
        return [chunk]

    def _finish_step(self, chunk: Chunk) -> list[Chunk]:
        if self._open:
            # All that it does in 5 and 6 is to forget what is open, and the next delta would end the stream.
            return []
        self._in_step = False
        return [chunk]

    def _reset_step(self, chunk: Chunk) -> list[Chunk]:
        sent: list[Chunk] = [{"type": f"{kind}-end", "id": part_id} for kind, part_id in self._open]
        self._open.clear()
        for call_id, call in self._calls.items():
            if call.step == self._step and not call.answered:
                call.answered = True
                sent.append(_error(call_id, REDONE, call))
        if self._in_step:
            # Else the dead calls and the new text would look like one step whose calls are all answered, and clients
            # would send it back again and again (reference §0.5).
            self._step += 1
            sent += [{"type": "finish-step"}, {"type": "start-step"}]
        return sent

    # -- tool calls ---------------------------------------------------------------------------------------------

    def _called(self, chunk: Chunk) -> list[Chunk]:
        self._calls[chunk["toolCallId"]] = _Call(bool(chunk.get("dynamic")), self._step)
        return [chunk]

    def _announced(self, chunk: Chunk) -> list[Chunk]:
        self._called(chunk)
        self._calls[chunk["toolCallId"]].announced = chunk
        return [chunk]

    def _input_error(self, chunk: Chunk) -> list[Chunk]:
        call = self._calls.setdefault(chunk["toolCallId"], _Call(bool(chunk.get("dynamic")), self._step))
        call.answered = True
        return [self._flagged(chunk)]

    def _answered(self, chunk: Chunk) -> list[Chunk]:
        call = self._calls.get(chunk["toolCallId"])
        if call is not None:
            call.answered = not chunk.get("preliminary")
        return [self._flagged(chunk)]

    def _flagged(self, chunk: Chunk) -> Chunk:
        """The chunk with its call's `dynamic` flag: 5 finds the call by it."""
        call = self._calls.get(chunk["toolCallId"])
        if self._level > 5 or call is None or call.dynamic == bool(chunk.get("dynamic")):
            return chunk
        return {**chunk, "dynamic": call.dynamic}

    def _denied(self, chunk: Chunk) -> list[Chunk]:
        call = self._calls.get(chunk["toolCallId"]) or _Call(bool(chunk.get("dynamic")), self._step)
        call.answered = True
        return [_error(chunk["toolCallId"], call.reason or DENIED, call)]

    def _asked_for(self, chunk: Chunk) -> list[Chunk]:
        self._asked[chunk.get("approvalId")] = chunk["toolCallId"]
        return [chunk] if self._level >= 6 else [_as_data(chunk, chunk.get("approvalId"))]

    def _let_go(self, chunk: Chunk) -> list[Chunk]:
        """For 6, which has no word for an answer: an approved call is announced again, else its user is asked again."""
        call = self._calls.get(self._asked.get(chunk.get("approvalId")))
        again = call.announced if call is not None and chunk.get("approved") else None
        return [] if again is None else [again]

    def _responded(self, chunk: Chunk) -> list[Chunk]:
        call = self._calls.get(self._asked.get(chunk.get("approvalId")))
        if call is not None and chunk.get("approved") is False:
            call.reason = chunk.get("reason")
        return [_as_data(chunk, chunk.get("approvalId"))]


def _held(part: Part) -> _Call:
    """A call that the client had before: of no step of this stream."""
    answer = part.get("approval") or {}
    reason = answer.get("reason") if answer.get("approved") is False else None
    return _Call(is_dynamic_tool(part), -1, answered=True, reason=reason if isinstance(reason, str) else None)


def _unchanged(chunk: Chunk) -> list[Chunk]:
    return [chunk]


def _left_out(chunk: Chunk) -> list[Chunk]:
    return []


def _finish(chunk: Chunk) -> list[Chunk]:
    known = chunk.get("finishReason", "stop") in FINISH_REASONS
    return [chunk if known else {**chunk, "finishReason": "other"}]


def _as_data(chunk: Chunk, part_id: str | None = None) -> Chunk:
    fields = {name: value for name, value in chunk.items() if name not in ("type", "id")}
    return {"type": f"data-{chunk['type']}", **({} if part_id is None else {"id": part_id}), "data": fields}


def _error(call_id: str, text: str, call: _Call) -> Chunk:
    dynamic = {"dynamic": True} if call.dynamic else {}
    return {"type": "tool-output-error", "toolCallId": call_id, "errorText": text, **dynamic}


def _portable(chunk: Chunk) -> Chunk:
    kind = chunk["type"]
    allowed = _PORTABLE_DATA if kind.startswith("data-") else _PORTABLE[kind]
    if all(name in allowed or name == "type" for name in chunk):
        return chunk
    return {name: value for name, value in chunk.items() if name in allowed or name == "type"}
