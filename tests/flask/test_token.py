"""Identities and the scopes they may use."""

from __future__ import annotations

import jwt
import pytest

from chatagent.errors import ConfigError, Unauthorized
from chatagent.flask import ADMIN_SCOPES, Identity, Tokens, session_scopes
from chatagent.flask.token import Action
from chatagent.redis.session import Session

SECRET = "0123456789012345678901234567890123456789"


def session(chat_id: str = "c1", user: str | None = None) -> Session:
    return Session("session_1", chat_id, "a", "idle", -1, -1, -1, -1, 0, 0, 0, user=user)


@pytest.mark.parametrize(
    ("scopes", "user", "owner", "action", "allowed"),
    [
        ({"read:sessions:c1"}, None, None, "read", True),
        ({"read:sessions:session_1"}, None, None, "read", True),
        ({"read:sessions:c1"}, None, None, "write", False),
        ({"read:sessions:c10"}, None, None, "read", False),
        ({"read:sessions:c"}, None, None, "read", False),
        ({"read:sessions:c1"}, "ann", "bob", "read", True),
        ({"read:sessions"}, None, "bob", "read", True),
        ({"read:sessions"}, "bob", "bob", "read", True),
        ({"read:sessions"}, "ann", "bob", "read", False),
        ({"read:sessions"}, "ann", None, "read", False),
        ({"read:all"}, None, "bob", "read", True),
        ({"read:all"}, None, "bob", "write", False),
        ({"write:all"}, None, "bob", "write", True),
        ({"write:all"}, "ann", "bob", "write", False),
        ({"admin"}, "ann", "bob", "write", True),
        ({"write:tasks"}, None, None, "write", False),
        (set(), None, None, "read", False),
    ],
)
def test_scopes_open_what_they_name(
    scopes: set[str], user: str | None, owner: str | None, action: Action, allowed: bool
) -> None:
    assert Identity(user, frozenset(scopes)).may(action, session(user=owner)) is allowed


def test_a_token_comes_back_as_it_was_minted() -> None:
    tokens = Tokens(SECRET)
    identity = tokens.read(tokens.mint(session_scopes("c1"), ttl_s=60, user="ann"))
    assert identity.user == "ann"
    assert identity.scopes == {"read:sessions:c1", "write:sessions:c1"}
    assert not identity.expired


@pytest.mark.parametrize(
    "claims",
    [
        {"scopes": ["admin"]},
        {"scopes": "admin", "exp": 2**40},
        {"scopes": [1], "exp": 2**40},
        {"scopes": ["admin"], "exp": "soon"},
        {"scopes": ["admin"], "exp": 2**40, "sub": 7},
    ],
    ids=["without an end", "scopes no list", "scopes no strings", "end no number", "user no string"],
)
def test_a_token_with_strange_claims_is_refused(claims: dict[str, object]) -> None:
    with pytest.raises(Unauthorized):
        Tokens(SECRET).read(jwt.encode(claims, SECRET, "HS256"))


def test_another_algorithm_is_refused() -> None:
    long_secret = SECRET * 2
    token = jwt.encode({"scopes": ["admin"], "exp": 2**40}, long_secret, "HS512")
    with pytest.raises(Unauthorized):
        Tokens(long_secret).read(token)


def test_the_error_never_shows_the_token() -> None:
    tokens = Tokens(SECRET)
    token = tokens.mint(ADMIN_SCOPES, ttl_s=-60)
    with pytest.raises(Unauthorized) as refused:
        tokens.read(token)
    assert token not in str(refused.value)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ConfigError, match="32 characters"):
        Tokens("short")
