"""What a client sends: one message for one chat. Of what clients say about the past, nothing is read.

Source: AI SDK reference: request body of `DefaultChatTransport` and `send` frame of `WebSocketChatTransport`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast, get_args

import orjson
from werkzeug.datastructures import Headers

from chatagent.errors import BadRequest
from chatagent.record import Busy, Kind
from chatagent.redis.session import ID_PREFIX
from chatagent.ui import decode

#: Longest id of a chat, message, agent or request.
MAX_ID = 256
#: Most parts of one message.
MAX_PARTS = 1000
_BUSY: tuple[str, ...] = get_args(Busy)
_NO_PATHS = (".", "..")
_CHANNELS = ":channels:"
_TRIGGERS = ("submit-message", "regenerate-message")
#: Fields of a request that we read ourselves; the rest is handed to the agent as `body`.
_OWN_FIELDS = frozenset({"id", "messages", "message", "trigger", "messageId", "metadata", "agent", "busy"})


@dataclass(frozen=True, slots=True)
class Send:
    """One message or action for one chat; `payload` is what goes into the inbox."""

    chat_id: str
    agent: str | None
    payload: dict[str, Any]
    #: The same for the same message sent again, so that it is answered once; None for what may be repeated.
    part_id: str | None
    #: What happens to it while the chat is busy; None is the chat's own policy.
    busy: Busy | None = None
    kind: Kind = "message"
    #: Whoever wants another answer: the message of the user that is to be answered, as the client knows it.
    asked: dict[str, Any] | None = None

    @property
    def message_id(self) -> str | None:
        """The id of the message, where there is one."""
        message_id = (self.payload.get("message") or {}).get("id")
        return message_id if isinstance(message_id, str) else None


def read_json(raw: bytes, *, halves: bool = True) -> dict[str, Any]:
    """The JSON object of a request; an empty body is an empty object. Raises: BadRequest.

    `halves`: text may hold half a character (one of two UTF-16 units), as chunks and messages may.
    """
    if not raw:
        return {}
    try:
        value: Any = decode(raw) if halves else orjson.loads(raw)
    except ValueError as error:
        raise BadRequest("the body is not valid JSON") from error
    if not isinstance(value, dict):
        raise BadRequest("the body must be a JSON object")
    return value


def read_send(body: Mapping[str, Any], *, extra: Mapping[str, Any] | None = None) -> Send:
    """Read a request to send; `extra` holds further fields where the form keeps them apart. Raises: BadRequest."""
    further = {name: value for name, value in (body if extra is None else extra).items() if name not in _OWN_FIELDS}
    agent = body.get("agent") if extra is None else extra.get("agent")
    further_busy = None if extra is None else extra.get("busy")
    trigger = body.get("trigger", _TRIGGERS[0])
    if trigger not in _TRIGGERS:
        raise BadRequest(f"must be one of {', '.join(_TRIGGERS)}", field="trigger")
    message_id = optional_id(body, "messageId")
    message = None if trigger == "regenerate-message" else _newest(body, message_id)
    payload: dict[str, Any] = {"trigger": trigger}
    for name, value in (
        ("message", message),
        ("messageId", message_id),
        ("metadata", body.get("metadata")),
        ("body", further or None),
    ):
        if value is not None:
            payload[name] = value
    return Send(
        chat_id=read_id(body.get("id"), "id"),
        agent=None if agent is None else read_id(agent, "agent"),
        payload=payload,
        part_id=part_id(message, message_id) if message is not None else None,
        busy=read_busy(body.get("busy", further_busy)),
        asked=None if message is not None else _asked(body),
    )


def read_action(body: Mapping[str, Any]) -> Send:
    """Read a request to act on a chat: `id`, `action`, `metadata`. Raises: BadRequest."""
    if body.get("action") is None:
        raise BadRequest("is missing: what the agent's action is to be", field="action")
    payload = {"action": body["action"]}
    if body.get("metadata") is not None:
        payload["metadata"] = body["metadata"]
    return Send(read_id(body.get("id"), "id"), None, payload, None, kind="action")


def read_part_id(headers: Headers) -> str | None:
    """What makes a record sent twice one record (`X-Part-Id`). Raises: BadRequest."""
    given = headers.get("X-Part-Id")
    return read_id(given, "X-Part-Id") if given is not None else None


def read_part(headers: Headers) -> str | None:
    """The same, as an inbox keeps it beside the ids of messages. Raises: BadRequest."""
    given = read_part_id(headers)
    return f"part:{given}" if given is not None else None


def read_busy(value: Any) -> Busy | None:
    """A busy policy that may be missing. Raises: BadRequest."""
    if value is not None and value not in _BUSY:
        raise BadRequest(f"must be one of {', '.join(_BUSY)}", field="busy")
    return cast("Busy | None", value)


def part_id(message: Mapping[str, Any], message_id: str | None) -> str | None:
    """What makes a message sent twice one message: its id and content. None for a message without an id."""
    if not isinstance(message.get("id"), str):
        return None
    content = json.dumps([message_id, message], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def read_message(message: Any, field: str = "message") -> dict[str, Any]:
    """A message as it may be stored; parts are kept as they came, unknown ones too. Raises: BadRequest."""
    if not isinstance(message, dict):
        raise BadRequest("must be a UIMessage: an object with id, role and parts", field=field)
    if message.get("role") not in ("user", "assistant"):
        raise BadRequest("must be user, or assistant with answers to tool calls", field=f"{field}.role")
    optional_id(message, "id", field)
    parts = message.get("parts")
    if not isinstance(parts, list):
        raise BadRequest("must be a list", field=f"{field}.parts")
    if len(parts) > MAX_PARTS:
        raise BadRequest(f"has more than {MAX_PARTS} parts", field=f"{field}.parts")
    for at, part in enumerate(parts):
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            raise BadRequest("must be an object with a type", field=f"{field}.parts[{at}]")
        if part["type"] == "text" and not isinstance(part.get("text"), str):
            raise BadRequest("must be a string", field=f"{field}.parts[{at}].text")
        if part.get("toolCallId") is not None:
            _check_call(part, f"{field}.parts[{at}]")
    return message


def _check_call(part: Mapping[str, Any], field: str) -> None:
    """What pending calls are looked up by. Raises: BadRequest."""
    for name, kind, told in (
        ("toolCallId", str, "a string"),
        ("state", str, "a string"),
        ("approval", dict, "an object"),
    ):
        if not isinstance(part.get(name), kind | None):
            raise BadRequest(f"must be {told}", field=f"{field}.{name}")


def read_flag(body: Mapping[str, Any], name: str) -> bool:
    """True or false; false when it is missing. Raises: BadRequest."""
    value = body.get(name)
    if not isinstance(value, bool | None):
        raise BadRequest("must be true or false", field=name)
    return bool(value)


def read_id(value: Any, field: str) -> str:
    """An id. Raises: BadRequest."""
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_ID or not value.isprintable():
        raise BadRequest(f"must be a string of 1 to {MAX_ID} printable characters", field=field)
    return value


def new_chat_id(value: Any, field: str) -> str:
    """A chat id that the app chose. Raises: BadRequest."""
    chat_id = read_id(value, field).strip()
    if chat_id.startswith((ID_PREFIX, "/")):
        raise BadRequest(f"must not start with {ID_PREFIX!r} or '/'", field=field)
    if _CHANNELS in chat_id:
        raise BadRequest(f"must not contain {_CHANNELS!r}: scopes name side channels so", field=field)
    if chat_id in _NO_PATHS:
        # HTTP clients resolve them before they ask.
        raise BadRequest("cannot be part of a path", field=field)
    return chat_id


def optional_id(body: Mapping[str, Any], name: str, inside: str | None = None) -> str | None:
    """An id that may be missing. Raises: BadRequest."""
    value = body.get(name)
    return None if value is None else read_id(value, f"{inside}.{name}" if inside else name)


def _asked(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The newest message, where it is a user's with an id."""
    try:
        message = _newest(body, None)
    except BadRequest:
        return None
    return message if message["role"] == "user" and isinstance(message.get("id"), str) else None


def _newest(body: Mapping[str, Any], message_id: str | None) -> dict[str, Any]:
    """The one message that the request is about: the one it names, else the last."""
    if "message" in body:
        return read_message(body["message"])
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("must be a list with the new message at its end (or send `message` alone)", field="messages")
    for at in range(len(messages) - 1, -1, -1):
        if message_id is not None and isinstance(messages[at], dict) and messages[at].get("id") == message_id:
            return read_message(messages[at], f"messages[{at}]")
    return read_message(messages[-1], f"messages[{len(messages) - 1}]")
