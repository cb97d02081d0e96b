"""Tokens from Python: `from chatagent import auth`. Signed here, with the secret key that the gateway has too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chatagent.client.wire import on_this_machine
from chatagent.duration import Duration, seconds
from chatagent.errors import ConfigError
from chatagent.settings import Settings
from chatagent.token import check_secret, sign

#: Ids of one kind; True is all of them.
Ids = str | Sequence[str] | bool
#: What may be done, with what: `{"read": {"sessions": "chat-1"}, "write": {"sessions": ["chat-1"]}}`.
Scopes = Mapping[str, Mapping[str, Ids] | bool]

#: What scopes are made of; others open nothing.
_ACTIONS = ("read", "write", "admin")
_KINDS = ("sessions", "tasks", "all")

__all__ = ["create_public_token", "create_trigger_public_token", "create_watch_token"]


def create_public_token(
    *,
    scopes: Scopes | Sequence[str] | str,
    expires_in: Duration = "15m",
    user: str | None = None,
    secret_key: str | None = None,
) -> str:
    """A token to hand to a browser.

    `scopes` are nested as above or written out (`["read:sessions:chat-1"]`); `user` is your own id of its bearer.
    The key is CHATAGENT_SECRET_KEY, unless one is given. Raises: ConfigError without a key, or for a short one; for
    scopes that open nothing.
    """
    if isinstance(scopes, Mapping):
        written = _written(scopes)
    else:
        written = scopes.split() if isinstance(scopes, str) else list(scopes or ())
    if not written or not all(written):
        raise ConfigError('a token without scopes opens nothing: write scopes={"read": {"sessions": chat_id}}')
    for scope in written:
        _check(scope)
    key = check_secret(secret_key if secret_key is not None else own_secret(Settings()))
    return sign(key, written, ttl_s=max(1.0, seconds(expires_in)), user=user)


def create_watch_token(chat_id: str, *, expires_in: Duration = "1h", secret_key: str | None = None) -> str:
    """A token that reads one chat and cannot write to it."""
    return create_public_token(scopes={"read": {"sessions": chat_id}}, expires_in=expires_in, secret_key=secret_key)


def create_trigger_public_token(
    agent: Any, *, expires_in: Duration = "15m", user: str | None = None, secret_key: str | None = None
) -> str:
    """A token that starts chats with `agent` (or its id; or several), and nothing else: each start gives a token for
    its chat.
    """
    several = agent if isinstance(agent, list | tuple) else [agent]
    scopes = {"write": {"tasks": [each if isinstance(each, str) else each.id for each in several]}}
    return create_public_token(scopes=scopes, expires_in=expires_in, user=user, secret_key=secret_key)


def own_secret(settings: Settings) -> str:
    """The secret key of these settings, or of `chatagent dev` in this folder, whose gateway is on this machine.

    Raises: ConfigError when there is none.
    """
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value()
    kept = settings.data_dir / "secret_key"
    if on_this_machine(settings.url) and kept.is_file():
        return kept.read_text().strip()
    raise ConfigError("give the gateway's secret key (secret_key=, --secret-key), or set CHATAGENT_SECRET_KEY")


def _check(scope: str) -> None:
    """Raises: ConfigError for a scope that opens nothing."""
    action, _, kind = scope.partition(":")
    if action not in _ACTIONS or (kind.partition(":")[0] not in _KINDS and scope != "admin"):
        raise ConfigError(
            f"the scope {scope!r} opens nothing: it must be admin, or one of {', '.join(_ACTIONS)} with one of"
            f" {', '.join(_KINDS)}, as in read:sessions:chat-1"
        )


def _written(scopes: Scopes) -> list[str]:
    """Scopes as a token carries them: `read:sessions:chat-1`, `write:tasks`, `admin`."""
    found: list[str] = []
    for action, kinds in scopes.items():
        if isinstance(kinds, Mapping):
            found += [scope for kind, ids in kinds.items() for scope in _of_kind(action, kind, ids)]
        elif kinds is True:
            found.append(action)
        elif kinds is not False:
            raise ConfigError(
                f"name what {action} is for, as in {{{action!r}: {{'sessions': chat_id}}}}, not {kinds!r}"
            )
    return found


def _of_kind(action: str, kind: str, ids: Ids) -> Iterable[str]:
    if isinstance(ids, bool):
        return [f"{action}:{kind}"] if ids else []
    listed = [ids] if isinstance(ids, str) else ids
    if not isinstance(listed, list | tuple | set | frozenset) or not all(isinstance(each, str) for each in listed):
        raise ConfigError(f"ids in the scopes {action}:{kind} must be text, not {ids!r}")
    if not all(each.strip() for each in listed):
        raise ConfigError(f"an id in the scopes {action}:{kind} is empty")
    return [f"{action}:{kind}:{each}" for each in listed]
