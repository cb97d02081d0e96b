"""Requests to the sessions API as they are read: what to start, which tags, which scopes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from chatagent.errors import BadRequest
from chatagent.flask.message import Send, new_chat_id, optional_id, read_id, read_send
from chatagent.flask.sessions.head_start import read_asked

#: Most tags of a session, and longest tag.
MAX_TAGS = 10
MAX_TAG = 128
#: Longest type, and longest name of an agent.
MAX_TYPE = 64
MAX_AGENT = 128


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request to start a session asks for; `first` is the message of its first turn."""

    chat_id: str | None
    agent: str
    type: str
    user: str | None = None
    tags: list[str] = field(default_factory=list)
    metadata: Any = None
    trigger_config: dict[str, Any] = field(default_factory=dict)
    first: Send | None = None
    #: Make a run ready before there is a message.
    preload: bool = False
    #: The client data that a preload brings.
    client_data: Any = None
    #: What a head start answers, while no worker does anything yet.
    asked: dict[str, Any] | None = None
    #: When the session takes no more, in ms since 1970.
    expires_at_ms: int | None = None


def read_wanted(body: Mapping[str, Any]) -> Wanted:
    """Read a request to start a session. Raises: BadRequest."""
    config = _object(body, "triggerConfig")
    payload = _object(config, "basePayload", "triggerConfig.basePayload")
    chat_id = None if body.get("externalId") is None else new_chat_id(body["externalId"], "externalId")
    asked = None
    if payload.get("trigger") == "handover-prepare":
        asked = read_asked(payload)
        payload = {name: value for name, value in payload.items() if name != "headStartMessages"}
        config = {**config, "basePayload": payload}
    first = None
    if payload.get("message") is not None and payload.get("trigger", "submit-message") == "submit-message":
        first = read_send({**payload, "id": chat_id or "new", "trigger": "submit-message"})
    return Wanted(
        chat_id=chat_id,
        agent=_short(read_id(body.get("taskIdentifier"), "taskIdentifier"), MAX_AGENT, "taskIdentifier"),
        type=_short(read_id(body.get("type", "chat.agent"), "type"), MAX_TYPE, "type"),
        user=optional_id(body, "user"),
        tags=read_tags(body.get("tags", [])),
        metadata=body.get("metadata", payload.get("metadata")),
        trigger_config=config,
        first=first,
        preload=payload.get("trigger") == "preload",
        client_data=payload.get("metadata"),
        asked=asked,
        expires_at_ms=_date_ms(body, "expiresAt"),
    )


def _date_ms(body: Mapping[str, Any], name: str) -> int | None:
    """A date that may be missing, in ms since 1970. Raises: BadRequest."""
    value = body.get(name)
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value)
        return max(1, int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000))
    except (TypeError, ValueError, OverflowError) as error:
        raise BadRequest("must be a date in ISO 8601, for example 2030-01-31T12:00:00Z", field=name) from error


def _short(value: str, most: int, name: str) -> str:
    if len(value) > most:
        raise BadRequest(f"must be a string of 1 to {most} characters", field=name)
    return value


def _object(body: Mapping[str, Any], name: str, shown: str | None = None) -> dict[str, Any]:
    value = body.get(name, {})
    if not isinstance(value, dict):
        raise BadRequest("must be an object", field=shown or name)
    return value


def read_tags(value: Any) -> list[str]:
    """Tags of a session. Raises: BadRequest."""
    if not isinstance(value, list) or len(value) > MAX_TAGS:
        raise BadRequest(f"must be a list of at most {MAX_TAGS}", field="tags")
    if not all(isinstance(tag, str) and 0 < len(tag) <= MAX_TAG for tag in value):
        raise BadRequest(f"must be strings of 1 to {MAX_TAG} characters", field="tags")
    return value


def read_scopes(body: Mapping[str, Any], chat_id: str) -> frozenset[str]:
    """`["read", "write"]` for this chat, or full scopes. Raises: BadRequest."""
    asked = body.get("scopes", ["read", "write"])
    if not isinstance(asked, list) or not asked or not all(isinstance(scope, str) and scope for scope in asked):
        raise BadRequest('must be a list of scopes, for example ["read", "write"]', field="scopes")
    return frozenset(f"{scope}:sessions:{chat_id}" if scope in ("read", "write") else scope for scope in asked)
