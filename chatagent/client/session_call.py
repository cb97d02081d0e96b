"""Calls about sessions as such: start, read, change, close, list, append. Sans-I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from chatagent.client.gateway import SESSIONS, Gateway
from chatagent.client.want import Call, Reply, Steps
from chatagent.ids import new_id


@dataclass(frozen=True, slots=True)
class Start:
    """What a new session is to be."""

    agent: str
    chat_id: str | None = None
    client_data: Any = None
    message: Mapping[str, Any] | None = None
    tags: Sequence[str] = ()
    metadata: Mapping[str, Any] | None = None
    user: str | None = None
    preload: bool = False


@dataclass(frozen=True, slots=True)
class Filters:
    """Which sessions are listed; None is any."""

    agent: str | None = None
    tag: str | None = None
    user: str | None = None
    status: str | None = None
    chat_id: str | None = None
    limit: int = 20
    cursor: str | None = None

    def after(self, cursor: str | None) -> Filters:
        """The same, from a place on."""
        return replace(self, cursor=cursor)

    @property
    def query(self) -> dict[str, str]:
        """As the gateway reads them."""
        named = {
            "filter[taskIdentifier]": self.agent,
            "filter[tags]": self.tag,
            "filter[user]": self.user,
            "filter[status]": self.status.upper() if self.status is not None else None,
            "filter[externalId]": self.chat_id,
            "page[size]": str(self.limit),
            "page[after]": self.cursor,
        }
        return {name: value for name, value in named.items() if value is not None}


def start(gateway: Gateway, wanted: Start) -> Steps[dict[str, Any]]:
    """Make a session, or find it."""
    payload: dict[str, Any] = {"trigger": "preload"} if wanted.preload else {}
    if wanted.client_data is not None:
        payload["metadata"] = wanted.client_data
    if wanted.message is not None:
        payload |= {"trigger": "submit-message", "message": dict(wanted.message)}
    body: dict[str, Any] = {
        "type": "chat.agent",
        # Named here, so that a call that is made again finds the session that the first one made.
        "externalId": wanted.chat_id or new_id("chat_"),
        "taskIdentifier": wanted.agent,
        "triggerConfig": {"basePayload": payload},
    }
    given = {"metadata": wanted.metadata, "user": wanted.user, "tags": list(wanted.tags) or None}
    body |= {name: value for name, value in given.items() if value is not None}
    return (yield from gateway.json("POST", SESSIONS, body))


def retrieve(gateway: Gateway, chat_id: str) -> Steps[dict[str, Any]]:
    """One session."""
    return (yield from gateway.json("GET", _path(chat_id)))


def update(gateway: Gateway, chat_id: str, changes: Mapping[str, Any]) -> Steps[dict[str, Any]]:
    """Replace tags or metadata."""
    return (yield from gateway.json("PATCH", _path(chat_id), dict(changes)))


def close(gateway: Gateway, chat_id: str, reason: str | None) -> Steps[dict[str, Any]]:
    """Take no more messages, for ever."""
    body = {} if reason is None else {"reason": reason}
    return (yield from gateway.json("POST", f"{_path(chat_id)}/close", body))


def page(gateway: Gateway, filters: Filters) -> Steps[dict[str, Any]]:
    """One page: `data`, and `pagination.next` where there are more."""
    return (yield from gateway.json("GET", SESSIONS, None, **filters.query))


def append(gateway: Gateway, chat_id: str, log: str, record: Mapping[str, Any]) -> Steps[dict[str, Any]]:
    """Put one record into the inbox (`in`), or beside the running answer (`out`); made again, it counts once."""
    path = f"/realtime/v1/sessions/{quote(chat_id, safe='')}/{log}/append"
    call = Call("POST", path, dict(record), headers={"X-Part-Id": new_id()})
    reply: Reply = yield from gateway.ask(call)
    return gateway.told(reply)


def _path(chat_id: str) -> str:
    return f"{SESSIONS}/{quote(chat_id, safe='')}"
