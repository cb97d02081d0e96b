"""A session's logs as records, without waiting; and clear words where the client asks for what is not served here.

Source: the published client's `records`, `append` and `end-and-continue` calls.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NoReturn

import orjson
from flask import Blueprint, Response, request
from werkzeug.exceptions import Conflict, UnprocessableEntity

from chatagent.errors import BadRequest, TooLarge
from chatagent.flask.access import require, require_follow, require_server
from chatagent.flask.answer import json_response
from chatagent.flask.gateway import Gateway
from chatagent.flask.message import read_json, read_part_id
from chatagent.flask.query import read_number
from chatagent.flask.sessions import s2
from chatagent.flask.sessions.session_api import run_id
from chatagent.ids import new_id
from chatagent.record import InRecord, raw_record
from chatagent.redis.session import Session
from chatagent.relay import Batch
from chatagent.ui import encode

_BASE = "/realtime/v1/sessions/<path:chat_id>"
#: Largest record that a server may write beside an answer.
_MAX_RECORD_BYTES = 1024 * 1024
_MAX_NUMBER = 2**53
_NO_STREAMS = "there are no credentials for a stream behind this one: POST to /append, or write from the agent"


def register(blueprint: Blueprint, gateway: Gateway) -> None:
    """Add the routes to a blueprint."""

    @blueprint.get(f"{_BASE}/out/records")
    def out_records(chat_id: str) -> Response:
        """What the outbox holds after a cursor."""
        identity = gateway.access.identify(request)
        session = gateway.backend.sessions.get(chat_id)
        require_follow(identity, session)
        return json_response({"records": _sent(gateway, session, read_after())})

    @blueprint.get(f"{_BASE}/in/records")
    def in_records(chat_id: str) -> Response:
        """What the inbox holds after a cursor."""
        require_server(gateway.access.identify(request))
        session = gateway.backend.sessions.get(chat_id)
        return json_response({"records": _received(gateway, session, read_after())})

    @blueprint.post(f"{_BASE}/out/append")
    def append_output(chat_id: str) -> Response:
        """Show a chunk beside the running answer; it never becomes part of the message."""
        require_server(gateway.access.identify(request))
        session = gateway.backend.sessions.get(chat_id)
        raw = request.get_data(cache=False)
        if len(raw) > _MAX_RECORD_BYTES:
            raise TooLarge("the record", limit_bytes=_MAX_RECORD_BYTES)
        _write(gateway, session, read_json(raw), read_part_id(request.headers) or new_id())
        return json_response({"ok": True})

    @blueprint.post("/api/v1/sessions/<path:chat_id>/end-and-continue")
    def end_and_continue(chat_id: str) -> Response:
        """Runs of ours end and go on by themselves: nothing is swapped."""
        identity = gateway.access.identify(request)
        session = gateway.backend.sessions.get(chat_id)
        require(identity, "write", session)
        return json_response({"runId": run_id(session), "swapped": False})

    @blueprint.put(f"{_BASE}/<any(in, out):_side>")
    @blueprint.put(f"{_BASE}/channels/<_name>/<any(in, out):_side>")
    def credentials(chat_id: str, _side: str, _name: str = "") -> NoReturn:
        require_server(gateway.access.identify(request))
        raise UnprocessableEntity(_NO_STREAMS)


def _sent(gateway: Gateway, session: Session, after: int) -> list[dict[str, Any]]:
    """Records in the client's form, those that only count left out."""
    encoder, now_ms, sent = s2.Encoder(None, lambda: None), int(time.time() * 1000), list[dict[str, Any]]()
    last = -1
    while found := gateway.backend.outbox.read(session.id, last):
        sent += encoder.encode(Batch(found[0].seq, [each.raw for each in found]), now_ms)
        last = found[-1].seq
    return [_shown(each) for each in sent if each["seq_num"] > after and not s2.is_command(each)]


def _shown(record: Mapping[str, Any]) -> dict[str, Any]:
    seq = record["seq_num"]
    body = orjson.loads(record["body"]) if record["body"] else {}
    shown = {"data": body.get("data"), "id": str(seq), "seqNum": seq}
    return {**shown, "headers": record["headers"]} if "headers" in record else shown


def _received(gateway: Gateway, session: Session, after: int) -> list[dict[str, Any]]:
    records = gateway.backend.inbox.read(session.id, after)
    return [{"data": _input(session, each), "id": str(each.seq), "seqNum": each.seq} for each in records]


def _input(session: Session, record: InRecord) -> dict[str, Any]:
    """A record of the inbox as the client would have sent it."""
    if record.kind == "stop":
        return {"kind": "stop"}
    payload = {"chatId": session.chat_id, **record.payload}
    if record.kind != "message":
        payload["trigger"] = record.kind
    return {"kind": "message", "payload": payload}


def _write(gateway: Gateway, session: Session, body: Mapping[str, Any], part: str) -> None:
    """Raises: BadRequest, Conflict when nothing is being answered."""
    chunk = body.get("data")
    if not isinstance(chunk, dict) or not isinstance(chunk.get("type"), str) or not chunk["type"].startswith("data-"):
        raise BadRequest("must be a data chunk: an object whose type starts with data-", field="data")
    if not gateway.backend.outbox.append_beside(session.id, part, raw_record(encode(chunk))):
        raise Conflict("nothing is being answered in this chat now; write while an answer is on its way")


def read_after() -> int:
    if request.args.get("afterEventId") == "-1":
        return -1
    return read_number(request.args, "afterEventId", default=-1, least=0, most=_MAX_NUMBER)
