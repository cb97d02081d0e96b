"""The token that a client shows, and when it needs another."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from chatagent.client.want import Renew, Steps
from chatagent.errors import ConfigError

#: A token, or what gives a fresh one.
TokenSource = str | Callable[[], str]
#: The same for asyncio, where a fresh one may be awaited.
AsyncTokenSource = TokenSource | Callable[[], Awaitable[str]]
#: Seconds before its end at which a token is replaced.
_EARLY_S = 15.0


class Credential:
    """A secret key, a token, or a function that gives tokens."""

    def __init__(self, token: AsyncTokenSource | None = None, secret_key: str | None = None) -> None:
        if token is not None and secret_key is not None:
            raise ConfigError("give a token or the secret key, not both")
        self.source = token if callable(token) else None
        given = secret_key if token is None else token
        self._shown = None if self.source is not None or given is None else _showable(given)

    def shown(self) -> Steps[str | None]:
        """What to show now; a token that ends soon is replaced before."""
        if self.source is not None and (self._shown is None or _ends_soon(self._shown)):
            yield from self.renew()
        return self._shown

    def renew(self) -> Steps[bool]:
        """Get another one, where there is a way to."""
        if self.source is None:
            return False
        self._shown = _showable((yield Renew()))
        return True


def _showable(token: Any) -> str:
    """A token that a header can carry. Raises: ConfigError for another, which would look like a gateway away."""
    if (
        not isinstance(token, str)
        or not token.isascii()
        or not token.isprintable()
        or token.strip() != token
        or not token
    ):
        raise ConfigError("the token or secret key is empty, or has a line end or another character that no header has")
    return token


def _ends_soon(token: str) -> bool:
    """Whether this is a JWT (RFC 7519) near its end. Nothing is verified: that is the gateway's part."""
    try:
        payload = token.split(".")[1]
        ends_s = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]
    except (IndexError, KeyError, TypeError, binascii.Error, orjson.JSONDecodeError):
        return False
    return isinstance(ends_s, int | float) and time.time() > ends_s - _EARLY_S
