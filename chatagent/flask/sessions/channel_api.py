"""Side channels of a session: `/channels/<name>/in` and `/out`, each written, followed and read by itself.

Source: the published client's `sessions.open(id).channel(name)` and its hooks for session streams.
"""

from __future__ import annotations

import re
from typing import Any

import orjson
from flask import Blueprint, Response, request

from chatagent.errors import BadRequest, Closed, Forbidden, TooLarge
from chatagent.flask.access import require_server
from chatagent.flask.answer import json_response
from chatagent.flask.feed import Feed
from chatagent.flask.gateway import Gateway
from chatagent.flask.message import read_part_id
from chatagent.flask.sessions import s2
from chatagent.flask.sessions.out_stream import Asked, OutStream
from chatagent.flask.sessions.realtime import MAX_RECORD_BYTES, STREAM_HEADERS, read_asked
from chatagent.flask.sessions.records_api import read_after
from chatagent.flask.token import Action, Identity
from chatagent.redis.channel import Side, read_value, side_id
from chatagent.redis.session import Session
from chatagent.relay import Batch

_BASE = "/realtime/v1/sessions/<path:chat_id>/channels/<name>/<any(in, out):side>"
_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)


def register(blueprint: Blueprint, gateway: Gateway) -> None:
    """Add the routes to a blueprint."""

    def find(action: Action, chat_id: str, name: str, side: Side) -> tuple[Identity, Session]:
        identity = gateway.access.identify(request)
        if _NAME.fullmatch(name) is None:
            raise BadRequest("must be 1 to 128 of the characters A-Z a-z 0-9 . _ -", field="name")
        session = gateway.backend.sessions.get(chat_id)
        if not identity.may_channel(action, session, name, side):
            raise Forbidden(f"this token may not {action} channel {name!r} of chat {session.chat_id!r}; get one for it")
        return identity, session

    @blueprint.post(f"{_BASE}/append")
    def append_to_channel(chat_id: str, name: str, side: Side) -> Response:
        """Add a record. It wakes no worker; `out` is for servers, so that no page can forge what it shows."""
        identity, session = find("write", chat_id, name, side)
        if side == "out":
            require_server(identity)
        if session.closed:
            raise Closed(session.closed_reason)
        value = _value(request.get_data(cache=False))
        part = read_part_id(request.headers)
        seq = gateway.backend.channels.append(side_id(session.id, name, side), value, part)
        return json_response({"ok": True, "seq": seq})

    @blueprint.get(_BASE)
    def follow_channel(chat_id: str, name: str, side: Side) -> Response:
        """Follow one side, in the framing of the chat's own stream."""
        identity, session = find("read", chat_id, name, side)
        stream = ChannelStream(gateway, identity, side_id(session.id, name, side), read_asked(request.headers))
        stream.open(session)
        response = Response(stream.events(), headers=STREAM_HEADERS)
        response.call_on_close(stream.close)
        return response

    @blueprint.get(f"{_BASE}/records")
    def channel_records(chat_id: str, name: str, side: Side) -> Response:
        """What one side holds after a cursor."""
        _, session = find("read", chat_id, name, side)
        found = gateway.backend.outbox.read(side_id(session.id, name, side), read_after())
        return json_response({"records": [{**read_value(each.raw), "seqNum": each.seq} for each in found]})


class ChannelStream(OutStream):
    """One subscriber of one side."""

    def __init__(self, gateway: Gateway, identity: Identity, side: str, asked: Asked) -> None:
        super().__init__(gateway, identity, side, asked)
        self._side = side

    def open(self, session: Session) -> None:
        """Listen to the side. Raises: StoreDown."""
        outbox = self._gateway.backend.outbox
        feed = Feed(self._gateway.backend, self._side, self._wake)
        try:
            end = outbox.end(self._side)
            last = -1 if end is None else end
            cursor = self._asked.cursor
            self._cursor = cursor if cursor is not None and cursor <= last else last if self._asked.latest else -1
            feed.place(self._cursor, caught_up=False)
        except BaseException:
            feed.close()
            raise
        self._feed = feed

    def _encode(self, batch: Batch, at_ms: int) -> list[dict[str, Any]]:
        return [s2.record(seq, at_ms, raw.decode()) for seq, raw in enumerate(batch.records, batch.first)]


def _value(raw: bytes) -> Any:
    """What a client sends: JSON, or a text as it is. Raises: BadRequest, TooLarge."""
    if len(raw) > MAX_RECORD_BYTES:
        raise TooLarge("the record", limit_bytes=MAX_RECORD_BYTES)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise BadRequest("the body must be JSON or text in UTF-8") from error
    if not text:
        raise BadRequest("the body is empty: send a record")
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return text
