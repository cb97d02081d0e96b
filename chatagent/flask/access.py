"""Finds out who makes a request, and whether a page on another site may make it."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable, Collection
from urllib.parse import urlsplit

from flask import Request

from chatagent.errors import Forbidden, NotFound, Unauthorized
from chatagent.flask.token import ADMIN_SCOPES, Action, Identity, Tokens
from chatagent.redis.session import Session

#: The host app's own way to know its users: an identity, or None for a stranger.
Identify = Callable[[Request], Identity | None]

#: WebSocket subprotocol that carries a token, for clients that can set no header.
TOKEN_PROTOCOL = "chatagent.token."


class Access:
    """Decides who somebody is. A request may carry a token of ours, the secret key, or what `identify` knows."""

    def __init__(self, secret: str, identify: Identify | None, allowed_origins: Collection[str]) -> None:
        self.tokens = Tokens(secret)
        self._secret = secret.encode()
        self._identify = identify
        self._allowed_origins = frozenset(allowed_origins)

    def identify(self, request: Request) -> Identity:
        """Whoever makes this request. Raises: Unauthorized."""
        identity = self.known(request)
        if identity is None:
            raise Unauthorized("a token is needed: send `Authorization: Bearer <token>`")
        return identity

    def known(self, request: Request) -> Identity | None:
        """Whoever makes this request; None for a stranger. Raises: Unauthorized for a token that is no good."""
        identity = self.recognised(request)
        if identity is not None:
            return identity
        token = bearer(request.headers.get("Authorization", "")) or socket_token(request)
        return self.of_token(token) if token else None

    def recognised(self, request: Request) -> Identity | None:
        """Whoever the host app knows, without a token of ours."""
        return self._identify(request) if self._identify is not None else None

    def of_token(self, token: str) -> Identity:
        """Whose token or key this is. Raises: Unauthorized."""
        if hmac.compare_digest(token.encode(), self._secret):
            return Identity(scopes=ADMIN_SCOPES)
        return self.tokens.read(token)

    def origin_allowed(self, request: Request) -> bool:
        """Whether the page that makes this request is ours or on the list. Others than browsers send no origin."""
        origin = request.headers.get("Origin")
        return origin is None or self.origin_listed(origin) or urlsplit(origin).netloc == request.host

    def origin_listed(self, origin: str) -> bool:
        """Whether pages of this origin may use the gateway of another."""
        return origin in self._allowed_origins or "*" in self._allowed_origins


def require(identity: Identity, action: Action, session: Session) -> None:
    """Raises: Forbidden."""
    if not identity.may(action, session):
        raise _forbidden(action, session.chat_id)


def require_own(identity: Identity, action: Action, chat_id: str) -> None:
    """Of a chat that this identity is about to start. Raises: Forbidden."""
    if not identity.may_named(action, [chat_id], identity.user):
        raise _forbidden(action, chat_id)


def _forbidden(action: Action, chat_id: str) -> Forbidden:
    return Forbidden(f"this token may not {action} chat {chat_id!r}; get one for it")


def require_follow(identity: Identity, session: Session) -> None:
    """Raises: Forbidden."""
    if not identity.may_follow(session):
        raise Forbidden(f"this token may not read chat {session.chat_id!r}; get one for it")


def require_start(identity: Identity, chat_id: str | None, agent: str) -> None:
    """Raises: Forbidden for a token without this agent; NotFound for one of existing chats, where it names a chat
    rather than asks for a new one (None).
    """
    if identity.may_start(agent):
        return
    if chat_id is not None and not any(scope.startswith("write:tasks") for scope in identity.scopes):
        raise NotFound(f"there is no chat {chat_id!r}; create it with POST /api/v1/sessions")
    raise Forbidden(f"this token may not start chats with agent {agent!r}; it needs the scope write:tasks:{agent}")


def require_manage(identity: Identity, session: Session) -> None:
    """Raises: Forbidden. To change or close a chat takes more than a token for that chat, which any page of it has."""
    if not identity.may_manage(session):
        raise Forbidden(f"this token may not manage chat {session.chat_id!r}; servers and the chat's owner may")


def require_server(identity: Identity) -> None:
    """Raises: Forbidden for all but servers with the secret key."""
    if not identity.admin:
        raise Forbidden("this call is for servers: send the secret key as `Authorization: Bearer <key>`")


def bearer(header: str) -> str | None:
    """The token of an `Authorization` header."""
    kind, _, token = header.partition(" ")
    return token.strip() or None if kind.lower() == "bearer" else None


def socket_token(request: Request) -> str | None:
    """The token of a WebSocket handshake, where browsers can set no header: `?token=`, or a subprotocol."""
    if request.headers.get("Upgrade", "").lower() != "websocket":
        return None
    for protocol in request.headers.get("Sec-WebSocket-Protocol", "").split(","):
        if protocol.strip().startswith(TOKEN_PROTOCOL):
            return protocol.strip().removeprefix(TOKEN_PROTOCOL)
    return request.args.get("token") or None


def on_this_machine(request: Request) -> bool:
    """Whether the request was made here, to this machine's own name, and passed no proxy."""
    forwarded = any(name in request.headers for name in ("Forwarded", "X-Forwarded-For", "X-Real-IP"))
    return not forwarded and _loopback(request.remote_addr) and _loopback(urlsplit(f"//{request.host}").hostname)


def _loopback(host: str | None) -> bool:
    if host is None:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
