"""JSON frames of the WebSocket door: AI SDK 7's `WebSocketChatTransport`, and ours on top (docs/protocol.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

import orjson

from chatagent.errors import BadRequest, ChatAgentError
from chatagent.flask.access import bearer
from chatagent.flask.message import MAX_ID
from chatagent.ui import decode
from chatagent.ui.utf16 import has_halves, replace_halves

FrameType = Literal[
    "send",
    "resume",
    "abort",
    "watch",
    "unwatch",
    "stop",
    "steer",
    "action",
    "queue",
    "edit",
    "cancel",
    "ack",
    "ping",
    "auth",
]
_TYPES: tuple[str, ...] = get_args(FrameType)
#: Frames that are answered under a request id of the client's, and those that name a chat.
_WITH_REQUEST = frozenset({"send", "resume", "abort", "watch", "unwatch", "ack", "queue", "action"})
_WITH_CHAT = frozenset({"send", "resume", "watch", "stop", "steer", "queue", "edit", "cancel", "action"})
#: What is looked up or said back in other encodings: it must be whole text.
_NAMES = ("requestId", "id", "token", "tag", "user", "cursor")
#: What a `watch` may name in place of a chat.
_LISTINGS = ("tag", "user", "all")


@dataclass(frozen=True, slots=True)
class Frame:
    """A well-formed frame of a client; what it carries is read by whoever handles it."""

    type: FrameType
    request_id: str = ""
    chat_id: str = ""
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def token(self) -> str | None:
        """A token that came with this frame alone (the transport's `headers`)."""
        headers = self.fields.get("headers") or {}
        for name, value in headers.items() if isinstance(headers, dict) else ():
            if name.lower() == "authorization" and isinstance(value, str):
                return bearer(replace_halves(value))
        return None

    @property
    def body(self) -> dict[str, Any]:
        """The request's further fields."""
        body = self.fields.get("body")
        return body if isinstance(body, dict) else {}

    def number(self, name: str, *, least: int) -> int | None:
        """An integer that may be missing. Raises: BadRequest."""
        value = self.fields.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise BadRequest(f"must be an integer from {least}", field=name)
        return value


def read_frame(data: str | bytes) -> Frame:
    """Read what a client sent. Raises: BadRequest, after which the connection cannot be trusted (close 1008)."""
    try:
        fields: Any = decode(data)
    except ValueError as error:
        raise BadRequest("the frame is not valid JSON") from error
    if not isinstance(fields, dict):
        raise BadRequest("the frame must be a JSON object")
    if fields.get("type") not in _TYPES:
        raise BadRequest(f"must be one of {' '.join(_TYPES)}", field="type")
    for name in _NAMES:
        if isinstance(fields.get(name), str) and has_halves(fields[name]):
            raise BadRequest("must not hold half a character", field=name)
    kind = cast(FrameType, fields["type"])
    return Frame(
        kind,
        _id(fields, "requestId", needed=kind in _WITH_REQUEST),
        _id(fields, "id", needed=kind in _WITH_CHAT and not (kind == "watch" and _names_listing(fields))),
        fields,
    )


def _names_listing(fields: dict[str, Any]) -> bool:
    return "id" not in fields and any(fields.get(name) for name in _LISTINGS)


def reply(kind: str, request_id: str, /, **fields: Any) -> bytes:
    """A frame for a client."""
    return orjson.dumps({"type": kind, "requestId": request_id, **fields})


def error_reply(request_id: str, error: ChatAgentError) -> bytes:
    """The frame that ends a request with an error."""
    return reply("error", request_id, errorText=str(error), code=error.code)


def _id(fields: dict[str, Any], name: str, *, needed: bool) -> str:
    value = fields.get(name)
    if value is None and not needed:
        return ""
    if not isinstance(value, str) or not value or len(value) > MAX_ID:
        raise BadRequest(f"must be a string of 1 to {MAX_ID} characters", field=name)
    return value
