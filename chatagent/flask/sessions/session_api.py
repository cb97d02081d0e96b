"""Sessions over HTTP: start, list, read, get a token, close. Source: the published client's `sessions.*` calls."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, request

from chatagent.errors import BadRequest, Forbidden, TooLarge
from chatagent.flask.access import require, require_manage, require_server, require_start
from chatagent.flask.answer import json_response
from chatagent.flask.gateway import Gateway
from chatagent.flask.message import Send, optional_id, read_json
from chatagent.flask.query import read_number
from chatagent.flask.sessions.head_start import MAX_BYTES, require_release
from chatagent.flask.sessions.session_list import SESSION_TYPE, read_page, read_query
from chatagent.flask.sessions.session_request import Wanted, read_scopes, read_wanted
from chatagent.flask.sse import asked_major
from chatagent.flask.token import session_scopes
from chatagent.redis.session import Session
from chatagent.runtime.conversation import page, view
from chatagent.ui import translate_message

_BASE = "/api/v1/sessions"
#: Largest request to start a session.
_MAX_START_BYTES = 32 * 1024
#: Longest reason of a close.
MAX_REASON = 256
#: Messages of a page of a history, unless said otherwise, and at most.
HISTORY_PAGE = 50
MAX_HISTORY_PAGE = 1000
#: Longest life of a token, in seconds.
MAX_TTL_S = 366 * 86400


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
        wanted = read_start(request.get_data(cache=False))
        if wanted.asked is not None:
            require_server(identity)
            require_release(request.headers.get("trigger-version"))
        sessions = self.gateway.backend.sessions
        session = sessions.find(wanted.chat_id) if wanted.chat_id is not None else None
        created = False
        if session is None or session.closed:
            if session is None or not identity.may("write", session):
                require_start(identity, None, wanted.agent)
            card = self.gateway.agent(wanted.agent)
            session, created = sessions.create(
                wanted.chat_id,
                card.id,
                queue=card.queue,
                user=wanted.user if identity.admin else identity.user,
                tags=wanted.tags,
                metadata=wanted.metadata,
                trigger_config=wanted.trigger_config,
                expires_at_ms=wanted.expires_at_ms,
            )
        if not created:
            require(identity, "write", session)
        if not session.closed:
            self._begin(session, wanted, created=created)
        return self._started(session, wanted, created=created)

    def _begin(self, session: Session, wanted: Wanted, *, created: bool) -> None:
        """Bring the first message, else make a run ready; a chat that has begun needs neither."""
        if wanted.asked is not None:
            self.gateway.backend.head_starts.keep(session.id, wanted.asked)
        elif created and wanted.first is not None:
            self.gateway.push(session, wanted.first)
        elif wanted.preload and session.turn <= 0 and session.in_seq < 0:
            data = {} if wanted.client_data is None else {"metadata": wanted.client_data}
            self.gateway.push(session, Send(session.chat_id, None, data, None, kind="preload"))

    def _started(self, session: Session, wanted: Wanted, *, created: bool) -> Response:
        if not created and wanted.trigger_config and wanted.trigger_config != session.trigger_config:
            session = self.gateway.backend.sessions.update(session, {"trigger_config": wanted.trigger_config})
        token = self._token(session.chat_id, session_scopes(session.chat_id), session.user)
        further = {
            "runId": run_id(session),
            "publicAccessToken": token,
            "isCached": not created,
        }
        return json_response({**session_json(session), **further}, 201 if created else 200)

    def list(self) -> Response:
        """Chats, last active first: all for servers, their own for a user."""
        identity = self.gateway.access.identify(request)
        if not identity.may_all("read"):
            raise Forbidden("this token is for single chats; to list them it needs the scope read:sessions")
        found = read_page(
            self.gateway.backend.sessions, read_query(request.args), None if identity.admin else identity.user
        )
        return json_response({"data": [session_json(each) for each in found.sessions], "pagination": found.pagination})

    def retrieve(self, chat_id: str) -> Response:
        """One chat."""
        return json_response(session_json(self.gateway.get(self.gateway.access.identify(request), chat_id)))

    def history(self, chat_id: str) -> Response:
        """The conversation with what is on its way, and from where to go on: `watch` from `out_cursor`.

        With `limit` or `before` (a message id) it comes in pages, the newest first; `before` of the answer is the next.
        `ai` names the generation of clients that shall understand it; without it the messages are as they are stored.
        """
        session, major = self.gateway.get(self.gateway.access.identify(request), chat_id), asked_major()
        snapshot = self.gateway.backend.history.read(session.id)
        now = snapshot.session
        messages = view(snapshot.messages, snapshot.unread)
        answer = {**session_json(now), "in_seq": now.in_seq, "out_cursor": now.complete_seq}
        if "limit" in request.args or "before" in request.args:
            messages, answer["before"] = page(
                messages,
                read_number(request.args, "limit", default=HISTORY_PAGE, least=1, most=MAX_HISTORY_PAGE),
                request.args.get("before"),
            )
        if major is not None:
            messages = [translate_message(each, major) for each in messages]
        return json_response({**answer, "messages": messages})

    def mint(self, chat_id: str) -> Response:
        """A token for one chat, for servers to hand to browsers."""
        require_server(self.gateway.access.identify(request))
        session = self.gateway.backend.sessions.get(chat_id)
        body = read_json(request.get_data(cache=False), halves=False)
        scopes = read_scopes(body, session.chat_id)
        ttl_s = body.get("ttl", self.gateway.options.token_ttl_s)
        if not isinstance(ttl_s, int) or isinstance(ttl_s, bool) or not 1 <= ttl_s <= MAX_TTL_S:
            raise BadRequest(f"must be a number of seconds from 1 to {MAX_TTL_S}", field="ttl")
        user = optional_id(body, "user") or session.user
        token = self.gateway.access.tokens.mint(scopes, ttl_s=ttl_s, user=user)
        return json_response({"token": token, "publicAccessToken": token, "scopes": sorted(scopes), "ttl": ttl_s}, 201)

    def close(self, chat_id: str) -> Response:
        """Close a chat for good; the first reason stays."""
        identity = self.gateway.access.identify(request)
        session = self.gateway.backend.sessions.get(chat_id)
        require_manage(identity, session)
        reason = read_json(request.get_data(cache=False), halves=False).get("reason")
        if reason is not None and (not isinstance(reason, str) or len(reason) > MAX_REASON):
            raise BadRequest(f"must be a string of at most {MAX_REASON} characters", field="reason")
        self.gateway.backend.sessions.close(session.id, reason)
        return json_response(session_json(self.gateway.backend.sessions.get(session.id)))

    def _token(self, chat_id: str, scopes: frozenset[str], user: str | None) -> str:
        return self.gateway.access.tokens.mint(scopes, ttl_s=self.gateway.options.token_ttl_s, user=user)


def read_start(raw: bytes) -> Wanted:
    """Read the body of a request to start a session. Raises: BadRequest, TooLarge."""
    if len(raw) > MAX_BYTES:
        raise TooLarge("the request to start a session", limit_bytes=MAX_BYTES)
    wanted = read_wanted(read_json(raw, halves=False))
    if wanted.asked is None and len(raw) > _MAX_START_BYTES:
        raise TooLarge("the request to start a session", limit_bytes=_MAX_START_BYTES)
    return wanted


def run_id(session: Session) -> str:
    """The run that serves a chat; before the first, a name that stands for it."""
    return session.run_id or f"run_{session.id.removeprefix('session_')}"


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
        "closedAt": None if session.expired else _iso(session.closed_at_ms),
        "closedReason": None if session.expired else session.closed_reason,
        "expiresAt": _iso(session.expires_at_ms),
        "createdAt": _iso(session.created_at_ms),
        "updatedAt": _iso(session.updated_at_ms),
    }


def _iso(ms: int | None) -> str | None:
    if ms is None:
        return None
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
