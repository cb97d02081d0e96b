"""What servers and the published client's helpers ask about sessions beside starting them: change, read, claims."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import UnprocessableEntity

from chatagent.duration import seconds
from chatagent.errors import BadRequest, ConfigError
from chatagent.flask.access import require_manage, require_server
from chatagent.flask.answer import json_response
from chatagent.flask.gateway import Gateway
from chatagent.flask.message import read_json
from chatagent.flask.query import read_number
from chatagent.flask.sessions import records_api
from chatagent.flask.sessions.session_api import MAX_TTL_S, session_json
from chatagent.flask.sessions.session_request import read_tags
from chatagent.redis.session import Session
from chatagent.runtime.conversation import view

_SESSION = "/api/v1/sessions/<path:chat_id>"
#: Messages of one page of a transcript, and at most.
TRANSCRIPT_PAGE, MAX_TRANSCRIPT_PAGE = 50, 1000
_MAX_NUMBER = 2**53
#: Seconds that a public token lives unless said otherwise, as in the published client.
_TOKEN_TTL_S = 900.0


def register(blueprint: Blueprint, gateway: Gateway) -> None:
    """Add the routes to a blueprint."""
    records_api.register(blueprint, gateway)

    @blueprint.patch(_SESSION)
    def session_update(chat_id: str) -> Response:
        """Replace tags or metadata."""
        identity = gateway.access.identify(request)
        session = gateway.backend.sessions.get(chat_id)
        require_manage(identity, session)
        changes = read_changes(read_json(request.get_data(cache=False), halves=False), session)
        return json_response(session_json(gateway.backend.sessions.update(session, changes)))

    @blueprint.get(f"{_SESSION}/transcript")
    def session_transcript(chat_id: str) -> Response:
        """The newest messages, and those before them by `nextCursor`; `cursors` say where to read on."""
        session = gateway.get(gateway.access.identify(request), chat_id)
        limit = read_number(request.args, "limit", default=TRANSCRIPT_PAGE, least=1, most=MAX_TRANSCRIPT_PAGE)
        snapshot = gateway.backend.history.read(session.id)
        messages = view(snapshot.messages, snapshot.unread)
        end = min(len(messages), read_number(request.args, "before", default=len(messages), least=0, most=_MAX_NUMBER))
        start = max(0, end - limit)
        now = snapshot.session
        seqs = {"lastOutEventId": now.complete_seq, "lastInEventId": now.in_cursor}
        found: dict[str, Any] = {
            "messages": messages[start:end],
            "cursors": {name: str(seq) for name, seq in seqs.items() if seq >= 0},
        }
        return json_response({**found, "nextCursor": str(start)} if start else found)

    @blueprint.post("/api/v1/auth/jwt/claims")
    def token_claims() -> Response:
        """What `auth.createPublicToken` puts into the tokens that it signs itself.

        No `sub`: in tokens of ours it names a user, and these are for nobody in particular.
        """
        require_server(gateway.access.identify(request))
        return json_response({"pub": True})

    @blueprint.post("/api/v1/auth/public-tokens")
    def public_token() -> Response:
        """What `auth.createPublicToken` calls with a key that it does not sign with (`tr_…_sk_…`)."""
        require_server(gateway.access.identify(request))
        body = read_json(request.get_data(cache=False))
        scopes = body.get("scopes")
        if not isinstance(scopes, list) or not scopes or not all(isinstance(each, str) and each for each in scopes):
            raise BadRequest('must be a list of scopes, for example ["read:sessions:ticket-42"]', field="scopes")
        ttl_s = read_expiration(body.get("expirationTime"), now_s=time.time())
        return json_response({"token": gateway.access.tokens.mint(scopes, ttl_s=ttl_s)})


def read_expiration(value: Any, *, now_s: float) -> float:
    """Seconds until an expiration time: seconds since 1970, or a duration such as "1h". Raises: BadRequest."""
    ttl_s = -1.0
    if value is None:
        ttl_s = _TOKEN_TTL_S
    elif isinstance(value, int | float) and not isinstance(value, bool):
        ttl_s = value - now_s
    elif isinstance(value, str):
        with suppress(ConfigError):  # told below
            ttl_s = seconds(value)
    if not 1 <= ttl_s <= MAX_TTL_S:
        text = 'must be seconds since 1970, or a duration such as "1h", at most 366 days ahead'
        raise BadRequest(text, field="expirationTime")
    return ttl_s


def read_changes(body: Mapping[str, Any], session: Session) -> dict[str, Any]:
    """Read a request to change a session. Raises: BadRequest, UnprocessableEntity."""
    if body.get("externalId", session.chat_id) != session.chat_id:
        raise UnprocessableEntity("the externalId of a session cannot be changed")
    changes: dict[str, Any] = {}
    if "tags" in body:
        changes["tags"] = read_tags(body["tags"])
    if "metadata" in body:
        if not isinstance(body["metadata"], dict | None):
            raise BadRequest("must be an object or null", field="metadata")
        changes["metadata"] = body["metadata"]
    return changes
