"""Records of a session's two logs: what one entry of the inbox or the outbox says.

An outbox record is one line of bytes, written once by the worker and relayed as it is: a `UIMessageChunk` as JSON
(its first key is always `type`), or a control record `#<kind> <JSON object>`. Neither holds a raw newline.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

#: First byte of a control record; a chunk starts with `{`.
_CONTROL = b"#"
#: How every chunk starts, because `chatagent.ui.encode` puts `type` first.
_TYPE_START = b'{"type":"'
#: How a chunk ends that is not part of the message; JSON may end so, and doors relay it as it is.
_RAW = b" "

#: `preload` starts a run before there is a message; `action` edits the chat without a turn.
Kind = Literal["message", "stop", "action", "preload"]
#: What happens to a message that arrives while the chat is busy:
#: `enqueue` a turn of its own, in order · `steer` into the running turn at its next step · `interrupt` stop the
#: running turn, keep its partial answer, then answer · `rollback` stop it and forget it, question and all ·
#: `merge` one turn answers all that is queued · `reject` refuse it (409).
Busy = Literal["enqueue", "steer", "interrupt", "rollback", "merge", "reject"]


@dataclass(frozen=True, slots=True)
class Handover:
    """A turn whose first step an app's own server has made (a head start): the chunks of that step.

    The step is open while it holds calls without an output; `final` says that the answer has ended with it.
    """

    message_id: str
    chunks: tuple[dict[str, Any], ...]
    final: bool
    #: The conversation before the message, for a chat that has none here.
    history: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class InRecord:
    """One entry of the inbox: what a client sent.

    `payload` of a message: `trigger` (`submit-message` or `regenerate-message`), `message` (one UIMessage),
    `messageId`, `metadata` (the client data), `body` (further fields of the request), `handover` (a head start).
    """

    seq: int
    kind: Kind
    payload: dict[str, Any] = field(default_factory=dict)
    at_ms: int = 0
    #: What the sender, else the session, wanted when it arrived.
    busy: Busy = "enqueue"

    @property
    def trigger(self) -> str:
        return str(self.payload.get("trigger", "submit-message"))

    @property
    def user_message(self) -> dict[str, Any] | None:
        """The new message of a user, where it brings one."""
        message = self.payload.get("message")
        if self.kind != "message" or self.trigger != "submit-message" or not isinstance(message, dict):
            return None
        return message if message.get("role") == "user" else None

    @property
    def message_id(self) -> str | None:
        """The id of that message."""
        message_id = (self.user_message or {}).get("id")
        return message_id if isinstance(message_id, str) else None

    @property
    def handover(self) -> Handover | None:
        """The head start that this message had."""
        given = self.payload.get("handover")
        if given is None:
            return None
        return Handover(given["messageId"], tuple(given["chunks"]), given["final"], tuple(given["history"]))


@dataclass(frozen=True, slots=True)
class OutRecord:
    """One entry of the outbox at its place in the log."""

    seq: int
    raw: bytes

    @property
    def control(self) -> str | None:
        """The kind of a control record (`turn-start`, `turn-complete`, `session-closed`); `None` for a chunk."""
        return control_kind(self.raw)


def control(kind: str, headers: dict[str, Any]) -> bytes:
    """A control record."""
    return b"#" + kind.encode() + b" " + orjson.dumps(headers)


def control_kind(raw: bytes) -> str | None:
    """The kind of a control record; `None` for a chunk."""
    if not raw.startswith(_CONTROL):
        return None
    return raw[1 : raw.index(b" ")].decode()


def control_headers(raw: bytes) -> dict[str, Any]:
    """What a control record carries."""
    headers: dict[str, Any] = orjson.loads(raw[raw.index(b" ") + 1 :])
    return headers


def chunk_type(raw: bytes) -> str:
    """The `type` of an encoded chunk, without decoding it."""
    start = len(_TYPE_START)
    return raw[start : raw.index(b'"', start)].decode()


def raw_record(record: bytes) -> bytes:
    """A chunk that is relayed and never becomes part of the message: a space after the JSON marks it."""
    return record + _RAW


def is_raw(record: bytes) -> bool:
    """Whether a chunk was written beside the message (`chat.stream`)."""
    return record.endswith(_RAW)


@dataclass(frozen=True, slots=True)
class Bell:
    """A doorbell: the new records `first … first + count - 1`.

    `records` is empty when the batch was too large to carry: then they are read from the log.
    """

    first: int
    count: int
    records: list[bytes]

    @property
    def last(self) -> int:
        return self.first + self.count - 1
