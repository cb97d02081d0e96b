"""Sessions over HTTP: start, list, read, get a token, close. Source: the published client's `sessions.*` calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, request

from chatagent.errors import BadRequest, Forbidden
from chatagent.flask.access import require, require_manage, require_server, require_start
from chatagent.flask.answer import json_response
from chatagent.flask.gateway import Gateway
from chatagent.flask.message import Send, new_chat_id, optional_id, read_id, read_json, read_send
from chatagent.flask.session_list import SESSION_TYPE, read_page, read_query
from chatagent.flask.token import session_scopes
from chatagent.redis.session import Session
from chatagent.runtime.conversation import view

_BASE = "/api/v1/sessions"
#: Most tags of a session, and longest tag.
MAX_TAGS = 10
MAX_TAG = 128
#: Longest reason of a close.
_MAX_REASON = 256
#: Longest life of a token, in seconds.
_MAX_TTL_S = 366 * 86400


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


class SessionApi:
    """The routes. Each finds out who asks, then what they may do."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def register(self, blueprint: Blueprint) -> None:
        """Add the routes to a blueprint."""
        for rule, method, view_func in (
            (_BASE, "POST", self.create),
            (_BASE, "GET", self.list),
            (f"{_BASE}/<path:chat_id>", "GET", self.retrieve),
            (f"{_BASE}/<path:chat_id>/history", "GET", self.history),
            (f"{_BASE}/<path:chat_id>/tokens", "POST", self.mint),
            (f"{_BASE}/<path:chat_id>/close", "POST", self.close),
        ):
            blueprint.add_url_rule(rule, f"session_{view_func.__name__}", view_func, methods=[method])

    def create(self) -> Response:
        """Make a session or find it; a message in it starts the first turn. 201 new, 200 known, 409 closed."""
        identity = self.gateway.access.identify(request)
        wanted = read_wanted(read_json(request.get_data(cache=False)))
        sessions = self.gateway.backend.sessions
        session = sessions.find(wanted.chat_id) if wanted.chat_id is not None else None
        created = False
        if session is None or session.closed:
            require_start(identity, wanted.chat_id or "", wanted.agent)
            card = self.gateway.agent(wanted.agent)
            session, created = sessions.create(
                wanted.chat_id,
                card.id,
                queue=card.queue,
                user=wanted.user if identity.admin else identity.user,
                tags=wanted.tags,
                metadata=wanted.metadata,
                trigger_config=wanted.trigger_config,
            )
        if not created:
            require(identity, "write", session)
        elif wanted.first is not None:
            self.gateway.push(session, wanted.first)
        return self._started(session, created=created)

    def _started(self, session: Session, *, created: bool) -> Response:
        token = self._token(session.chat_id, session_scopes(session.chat_id), session.user)
        further = {
            "runId": session.run_id or f"run_{session.id.removeprefix('session_')}",
            "publicAccessToken": token,
            "isCached": not created,
        }
        return json_response({**session_json(session), **further}, 201 if created else 200)

    def list(self) -> Response:
        """Chats, last active first: all for servers, their own for a user."""
        identity = self.gateway.access.identify(request)
        if not identity.may_all("read"):
            raise Forbidden("this token is for single chats; to list them it needs the scope read:sessions")
        page = read_page(
            self.gateway.backend.sessions, read_query(request.args), None if identity.admin else identity.user
        )
        return json_response({"data": [session_json(each) for each in page.sessions], "pagination": page.pagination})

    def retrieve(self, chat_id: str) -> Response:
        """One chat."""
        return json_response(session_json(self.gateway.get(self.gateway.access.identify(request), chat_id)))

    def history(self, chat_id: str) -> Response:
        """The conversation with what is on its way, and from where to go on: `watch` from `out_cursor`."""
        session = self.gateway.get(self.gateway.access.identify(request), chat_id)
        snapshot = self.gateway.backend.history.read(session.id)
        now = snapshot.session
        messages = view(snapshot.messages, snapshot.unread)
        place = {"in_seq": now.in_seq, "out_cursor": now.complete_seq}
        return json_response({**session_json(now), "messages": messages, **place})

    def mint(self, chat_id: str) -> Response:
        """A token for one chat, for servers to hand to browsers."""
        require_server(self.gateway.access.identify(request))
        session = self.gateway.backend.sessions.get(chat_id)
        body = read_json(request.get_data(cache=False))
        scopes = _read_scopes(body, session.chat_id)
        ttl_s = body.get("ttl", self.gateway.options.token_ttl_s)
        if not isinstance(ttl_s, int) or isinstance(ttl_s, bool) or not 1 <= ttl_s <= _MAX_TTL_S:
            raise BadRequest(f"must be a number of seconds from 1 to {_MAX_TTL_S}", field="ttl")
        user = optional_id(body, "user") or session.user
        token = self.gateway.access.tokens.mint(scopes, ttl_s=ttl_s, user=user)
        return json_response({"token": token, "publicAccessToken": token, "scopes": sorted(scopes), "ttl": ttl_s}, 201)

    def close(self, chat_id: str) -> Response:
        """Close a chat for good; the first reason stays."""
        identity = self.gateway.access.identify(request)
        session = self.gateway.backend.sessions.get(chat_id)
        require_manage(identity, session)
        reason = read_json(request.get_data(cache=False)).get("reason")
        if reason is not None and (not isinstance(reason, str) or len(reason) > _MAX_REASON):
            raise BadRequest(f"must be a string of at most {_MAX_REASON} characters", field="reason")
        self.gateway.backend.sessions.close(session.id, reason)
        return json_response(session_json(self.gateway.backend.sessions.get(session.id)))

    def _token(self, chat_id: str, scopes: frozenset[str], user: str | None) -> str:
        return self.gateway.access.tokens.mint(scopes, ttl_s=self.gateway.options.token_ttl_s, user=user)


def session_json(session: Session) -> dict[str, Any]:
    """A session as the API shows it; dates are ISO 8601, nullable fields are always there.

    The published client checks its form: `triggerConfig` has a `basePayload`, `metadata` is an object or null.
    """
    return {
        "id": session.id,
        "externalId": session.chat_id,
        "type": SESSION_TYPE,
        "taskIdentifier": session.agent,
        "status": session.status,
        "title": session.title,
        "user": session.user,
        "triggerConfig": {"basePayload": {}, **session.trigger_config},
        "currentRunId": session.run_id,
        "tags": list(session.tags),
        "metadata": session.metadata if isinstance(session.metadata, dict) else None,
        "turn": max(session.turn, 0),
        "closedAt": _iso(session.closed_at_ms),
        "closedReason": session.closed_reason,
        "expiresAt": None,
        "createdAt": _iso(session.created_at_ms),
        "updatedAt": _iso(session.updated_at_ms),
    }


def read_wanted(body: Mapping[str, Any]) -> Wanted:
    """Read a request to start a session. Raises: BadRequest."""
    config = _object(body, "triggerConfig")
    payload = _object(config, "basePayload", "triggerConfig.basePayload")
    chat_id = None if body.get("externalId") is None else new_chat_id(body["externalId"], "externalId")
    first = None
    if payload.get("message") is not None and payload.get("trigger", "submit-message") == "submit-message":
        first = read_send({**payload, "id": chat_id or "new", "trigger": "submit-message"})
    return Wanted(
        chat_id=chat_id,
        agent=read_id(body.get("taskIdentifier"), "taskIdentifier"),
        type=read_id(body.get("type", "chat.agent"), "type"),
        user=optional_id(body, "user"),
        tags=read_tags(body.get("tags", [])),
        metadata=body.get("metadata", payload.get("metadata")),
        trigger_config=config,
        first=first,
    )


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


def _read_scopes(body: Mapping[str, Any], chat_id: str) -> frozenset[str]:
    """`["read", "write"]` for this chat, or full scopes. Raises: BadRequest."""
    asked = body.get("scopes", ["read", "write"])
    if not isinstance(asked, list) or not asked or not all(isinstance(scope, str) and scope for scope in asked):
        raise BadRequest('must be a list of scopes, for example ["read", "write"]', field="scopes")
    return frozenset(f"{scope}:sessions:{chat_id}" if scope in ("read", "write") else scope for scope in asked)


def _iso(ms: int | None) -> str | None:
    if ms is None:
        return None
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
