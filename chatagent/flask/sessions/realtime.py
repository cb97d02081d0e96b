"""The door of the published Trigger.dev client: append to a chat's inbox, follow its outbox.

Source: trigger.dev's chat client protocol, as `@trigger.dev/sdk` 4.5.16 to 4.8.3 speaks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import Conflict

from chatagent.errors import BadRequest, Closed, Forbidden, NotFound, TooLarge
from chatagent.flask.access import require, require_server
from chatagent.flask.answer import EVENT_STREAM, json_response
from chatagent.flask.gateway import Gateway
from chatagent.flask.message import read_json, read_part
from chatagent.flask.query import read_major
from chatagent.flask.sessions import s2
from chatagent.flask.sessions.head_start import read_handover
from chatagent.flask.sessions.input_chunk import read_payload
from chatagent.flask.sessions.out_stream import Asked, OutStream
from chatagent.flask.token import Identity
from chatagent.redis.head_start import Step
from chatagent.redis.session import ID_PREFIX, Session

_BASE = "/realtime/v1/sessions/<path:chat_id>"
#: Largest record that a client may append.
MAX_RECORD_BYTES = 1024 * 1024
#: Longest time, in seconds, that a subscriber may ask to wait without a record, and what it waits unasked.
MAX_TIMEOUT_S, TIMEOUT_S = 600, 60
#: What every stream is sent with.
STREAM_HEADERS = {
    **EVENT_STREAM,
    # Without it the client takes the stream for the first version, and fails.
    "X-Stream-Version": s2.VERSION,
}
#: Who may be said to have said what is injected.
_ROLES = ("system", "user", "assistant")


def register(blueprint: Blueprint, gateway: Gateway) -> None:
    """Add the door's routes."""

    @blueprint.post(f"{_BASE}/in/append")
    def append_record(chat_id: str) -> Response:
        identity = gateway.access.identify(request)
        raw = request.get_data(cache=False)
        if len(raw) > MAX_RECORD_BYTES:
            raise TooLarge("the record", limit_bytes=MAX_RECORD_BYTES)
        session = gateway.backend.sessions.get(chat_id)
        require(identity, "write", session)
        record = read_json(raw)
        if record.get("kind") in ("handover", "inject"):
            require_server(identity)
        return json_response(_append(gateway, session, record, read_part(request.headers)))

    @blueprint.get(f"{_BASE}/out")
    def follow_records(chat_id: str) -> Response:
        identity = gateway.access.identify(request)
        stream = OutStream(gateway, identity, chat_id, read_asked(request.headers))
        session = gateway.backend.sessions.find(chat_id)
        if session is None:
            _require_unborn(identity, chat_id)
        if request.method == "HEAD":
            return Response(headers={**STREAM_HEADERS, "X-Last-Chunk-Index": "0"})
        if session is not None:
            stream.open(session)
        response = Response(stream.events(), headers=STREAM_HEADERS)
        response.call_on_close(stream.close)
        if stream.settled:
            response.headers["X-Session-Settled"] = "true"
        return response


def read_asked(headers: Headers) -> Asked:
    """What a subscriber's headers ask for. Raises: BadRequest."""
    timeout = headers.get("Timeout-Seconds", str(TIMEOUT_S))
    if not (timeout.isascii() and timeout.isdigit() and 1 <= int(timeout) <= MAX_TIMEOUT_S):
        raise BadRequest(f"must be a whole number from 1 to {MAX_TIMEOUT_S}", field="Timeout-Seconds")
    return Asked(
        cursor=_read_cursor(headers.get("Last-Event-ID")),
        timeout_s=int(timeout),
        latest=headers.get("X-Trigger-Stream-Start") == "latest",
        peek=headers.get("X-Peek-Settled") == "1",
        major=read_major(headers.get("X-AI-SDK"), "X-AI-SDK"),
    )


def _append(gateway: Gateway, session: Session, record: Mapping[str, Any], part: str | None) -> dict[str, Any]:
    """Put one record into the inbox; the answer's `seq` is its number there."""
    kind, payload = record.get("kind"), record.get("payload")
    if session.closed:
        raise Closed(session.closed_reason)
    if kind == "stop":
        gateway.stop_named(session, record, part_id=part)
        return {"ok": True}
    if kind == "handover-skip":
        # The server that made a head start gave it up; no worker knows of it.
        return {"ok": True}
    if kind == "inject":
        gateway.backend.inbox.inject(session.id, read_injected(record.get("messages")), key=part)
        return {"ok": True}
    if kind == "handover":
        return {"ok": True, "seq": _take_over(gateway, session, record, part)}
    if kind != "message":
        raise BadRequest("must be message, stop, inject, handover or handover-skip", field="kind")
    if not isinstance(payload, dict):
        raise BadRequest("must be an object", field="payload")
    if payload.get("trigger") == "close":
        # It lets a run go that waits for the next message; ours hold nothing while they wait.
        return {"ok": True}
    pushed = gateway.push(session, read_payload(session.chat_id, payload, part))
    return {"ok": True, "seq": pushed.seq}


def _take_over(gateway: Gateway, session: Session, record: Mapping[str, Any], part: str | None) -> int:
    """Let a worker go on with a head start; its number in the inbox."""
    head_starts = gateway.backend.head_starts
    asked = head_starts.find(session.id)
    if asked is None:
        raise Conflict("this chat has no head start: start one with POST /api/v1/sessions, it is kept for an hour")
    send = read_handover(session.chat_id, record, asked, part)
    pushed = gateway.push(session, send)
    head_starts.note_step(session.id, Step(pushed.seq, len(send.payload["handover"]["chunks"])))
    return pushed.seq


def read_injected(value: Any) -> list[dict[str, Any]]:
    """Model messages that nobody said: a text is an instruction. Raises: BadRequest."""
    if isinstance(value, str):
        return [{"role": "system", "content": value}]
    if not isinstance(value, list) or not all(isinstance(each, dict) and each.get("role") in _ROLES for each in value):
        raise BadRequest(f"must be a text, or a list of model messages ({', '.join(_ROLES)})", field="messages")
    return value


def _read_cursor(given: str | None) -> int | None:
    """The digits before a `-`; anything else means from the start."""
    if given is None:
        return None
    digits = given.partition("-")[0].strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 16 else -1


def _require_unborn(identity: Identity, chat_id: str) -> None:
    """Whether somebody may wait for a chat that is not made yet. Raises: NotFound, Forbidden."""
    if chat_id.startswith(ID_PREFIX):
        raise NotFound(f"there is no session {chat_id!r}")
    named = {f"{action}:sessions:{chat_id}" for action in ("read", "admin")} | {f"read:sessions:{chat_id}:out"}
    if not identity.may_all("read") and named.isdisjoint(identity.scopes):
        raise Forbidden(f"this token may not read chat {chat_id!r}; get one for it")
