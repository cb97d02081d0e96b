"""Tokens for browsers: HS256 JWTs (RFC 7519) that carry scopes, signed with the secret key of gateway and servers."""

from __future__ import annotations

import time
from collections.abc import Iterable

import jwt

from chatagent.errors import ConfigError

ALGORITHM = "HS256"
#: Shortest secret that signs tokens, in characters (RFC 7518 §3.2).
MIN_SECRET = 32


def check_secret(secret: str) -> str:
    """The secret, if it is long enough. Raises: ConfigError."""
    if len(secret) < MIN_SECRET:
        raise ConfigError(f"the secret key needs at least {MIN_SECRET} characters: `openssl rand -hex 32`")
    return secret


def sign(secret: str, scopes: Iterable[str], *, ttl_s: float, user: str | None = None) -> str:
    """A token with these scopes that is valid for `ttl_s` seconds; `user` is the app's own id of its bearer."""
    now = int(time.time())
    claims: dict[str, object] = {"scopes": sorted(scopes), "pub": True, "iat": now, "exp": now + int(ttl_s)}
    if user is not None:
        claims["sub"] = user
    return jwt.encode(claims, secret, ALGORITHM)
