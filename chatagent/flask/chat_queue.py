"""The messages of a chat that wait for an answer: who may read them sees them, who may write changes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatagent.errors import BadRequest, NotFound
from chatagent.flask.access import require
from chatagent.flask.gateway import Gateway
from chatagent.flask.message import read_busy, read_message
from chatagent.flask.token import Identity
from chatagent.record import InRecord
from chatagent.redis.session import Session

_LEFT = "no such message waits in this chat: it is being answered, was answered, or was cancelled"


def list_queue(gateway: Gateway, session_id: str) -> list[dict[str, Any]]:
    """What waits, oldest first. Raises: StoreDown."""
    return [entry_json(record) for record in gateway.backend.inbox.queue(session_id)]


def edit(gateway: Gateway, identity: Identity, chat_id: str, name: Any, changes: Mapping[str, Any]) -> InRecord:
    """Replace a waiting message or its busy policy; gives it as it is now. Raises: BadRequest, NotFound, Forbidden."""
    session = _writable(gateway, identity, chat_id)
    record = _find(gateway, session, name)
    busy = read_busy(changes.get("busy"))
    payload = None
    if "message" in changes:
        if record.kind != "message" or "message" not in record.payload:
            raise BadRequest("only a message can be replaced", field="message")
        message = read_message(changes["message"])
        kept = record.payload["message"].get("id")
        payload = {**record.payload, "message": {**message, **({"id": kept} if kept is not None else {})}}
    if payload is None and busy is None:
        raise BadRequest("give a new message or a new busy policy", field="message")
    gateway.backend.inbox.edit(session.id, record.seq, payload, busy, session=session)
    return InRecord(record.seq, record.kind, payload or record.payload, record.at_ms, busy or record.busy)


def cancel(gateway: Gateway, identity: Identity, chat_id: str, name: Any) -> InRecord:
    """Take a waiting message out; gives what it was. Raises: NotFound, Forbidden."""
    session = _writable(gateway, identity, chat_id)
    record = _find(gateway, session, name)
    gateway.backend.inbox.cancel(session.id, record.seq, session=session)
    return record


def entry_json(record: InRecord) -> dict[str, Any]:
    """What waits, as doors show it; `at` in ms since 1970."""
    shown: dict[str, Any] = {"seq": record.seq, "kind": record.kind, "busy": record.busy, "at": record.at_ms}
    if record.kind == "message":
        shown["trigger"] = record.trigger
    named = ("message", "action", "messageId")
    return {**shown, **{name: record.payload[name] for name in named if name in record.payload}}


def _writable(gateway: Gateway, identity: Identity, chat_id: str) -> Session:
    session = gateway.backend.sessions.get(chat_id)
    require(identity, "write", session)
    return session


def _find(gateway: Gateway, session: Session, name: Any) -> InRecord:
    """The waiting record by its message's id, else by its seq."""
    queue = gateway.backend.inbox.queue(session.id)
    for record in queue:
        if isinstance(name, str) and (record.payload.get("message") or {}).get("id") == name:
            return record
    for record in queue:
        if str(record.seq) == str(name):
            return record
    raise NotFound(_LEFT)
