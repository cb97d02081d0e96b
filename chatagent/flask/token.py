"""Who asks, and what they may do: identities, scopes, and the HS256 tokens that carry them.

Scopes: `read:sessions:<chat id>`, `write:sessions:<chat id>`, `admin:sessions:<chat id>` (all of that chat, its closing
too), `write:tasks:<agent>`; without the last part they count for all of the kind, and `write:sessions` starts chats,
too; `read:all`, `write:all` and `admin` count for everything. `read:sessions:<chat id>:out` opens the chat's stream and
nothing else of it, `read:sessions:<chat id>:channels:<name>` (with `:out` or `:in` at its end: one side of) a side
channel.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import jwt

from chatagent.errors import Unauthorized
from chatagent.redis.session import Session
from chatagent.token import ALGORITHM, check_secret, sign

#: Seconds that clocks of servers may differ.
_LEEWAY_S = 5
#: What a person whom the host app knows may do: chat with any agent, in chats of their own.
USER_SCOPES = frozenset({"read:sessions", "write:sessions", "write:tasks"})
ADMIN_SCOPES = frozenset({"admin"})

Action = Literal["read", "write"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody whom we know. `user` is the app's own id of a person; servers have none."""

    user: str | None = None
    scopes: frozenset[str] = USER_SCOPES
    #: Seconds since 1970 at which this ends, if it does.
    expires_s: float | None = None
    #: Seconds for which its token was made, if it says so.
    lifetime_s: float | None = None

    @property
    def admin(self) -> bool:
        return "admin" in self.scopes

    @property
    def expired(self) -> bool:
        return self.left_s() < 0

    def left_s(self) -> float:
        """Seconds until this is accepted no longer."""
        return math.inf if self.expires_s is None else self.expires_s + _LEEWAY_S - time.time()

    def may(self, action: Action, session: Session) -> bool:
        """Whether this identity may read or write a chat.

        A scope that names the chat always counts. A scope for all chats counts for a person's own chats; for any
        chat when the identity is no person.
        """
        return self.may_named(action, _names(session), session.user)

    def may_named(self, action: Action, names: Iterable[str], owner: str | None) -> bool:
        """The same of a chat that goes by these names and belongs to `owner`; it need not exist yet."""
        if self.admin:
            return True
        if any(f"{each}:sessions:{name}" in self.scopes for each in (action, "admin") for name in names):
            return True
        return self.may_all(action) and (self.user is None or self.user == owner)

    def may_follow(self, session: Session) -> bool:
        """Whether this identity may read the stream of a chat."""
        return self.may("read", session) or any(f"read:sessions:{name}:out" in self.scopes for name in _names(session))

    def may_channel(self, action: Action, session: Session, name: str, side: str) -> bool:
        """Whether this identity may use one side of a side channel: with the scope of its chat, or with its own."""
        own = (f"{action}:sessions:{each}:channels:{name}" for each in _names(session))
        return self.may(action, session) or any(not self.scopes.isdisjoint({each, f"{each}:{side}"}) for each in own)

    def may_manage(self, session: Session) -> bool:
        """Whether this identity may change or close a chat: more than a token for that chat allows."""
        if any(f"admin:sessions:{name}" in self.scopes for name in _names(session)):
            return True
        return self.may_all("write") and self.user in (None, session.user)

    def may_all(self, action: Action) -> bool:
        """Whether this identity has the scope for chats in general."""
        return self.admin or not self.scopes.isdisjoint({f"{action}:sessions", f"{action}:all", "admin:sessions"})

    def may_start(self, agent: str) -> bool:
        """Whether this identity may start chats with an agent."""
        starters = {f"write:tasks:{agent}", "write:tasks", "write:sessions", "write:all"}
        return self.admin or not self.scopes.isdisjoint(starters)


def _names(session: Session) -> tuple[str, str]:
    """What a chat goes by in scopes."""
    return session.chat_id, session.id


def session_scopes(chat_id: str) -> frozenset[str]:
    """What a browser needs for one chat."""
    return frozenset({f"read:sessions:{chat_id}", f"write:sessions:{chat_id}"})


class Tokens:
    """Signs and reads tokens with one secret."""

    def __init__(self, secret: str) -> None:
        self._secret = check_secret(secret)

    def mint(self, scopes: Iterable[str], *, ttl_s: float, user: str | None = None) -> str:
        """A token with these scopes that is valid for `ttl_s` seconds."""
        return sign(self._secret, scopes, ttl_s=ttl_s, user=user)

    def read(self, token: str) -> Identity:
        """Whose token this is. Raises: Unauthorized."""
        options: jwt.types.Options = {"require": ["exp"], "verify_aud": False, "verify_iat": False}
        try:
            claims = jwt.decode(token, self._secret, [ALGORITHM], options=options, leeway=_LEEWAY_S)
        except jwt.ExpiredSignatureError as error:
            raise Unauthorized("the token has expired; get a new one") from error
        except jwt.InvalidTokenError as error:
            raise Unauthorized("the token is not valid here; get a new one") from error
        scopes = claims.get("scopes", [])
        if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
            raise Unauthorized("the token's scopes must be a list of strings; get a new one")
        ends, made = claims["exp"], claims.get("iat")
        lifetime_s = max(1.0, float(ends - made)) if isinstance(made, int | float) else None
        return Identity(claims.get("sub"), frozenset(scopes), float(ends), lifetime_s)
