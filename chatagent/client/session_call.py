"""Calls about sessions as such: start, read, change, close, list, append. Sans-I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict
from urllib.parse import quote

from chatagent.client.gateway import SESSIONS, Gateway
from chatagent.client.session_item import BEFORE
from chatagent.client.want import Call, Reply, Steps
from chatagent.duration import Duration, seconds
from chatagent.errors import BadRequest
from chatagent.ids import new_id

#: Sessions of one page.
PAGE = 20


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
    expires_at: datetime | None = None


class ListFilters(TypedDict, total=False):
    """Which sessions are listed; of several values of a filter one is enough."""

    agent: Any
    """An agent or its id, or several."""
    tag: str | Sequence[str]
    user: str
    status: str | Sequence[str]
    """`active` or `closed`; of active ones also `idle`, `queued`, `running`."""
    type: str | Sequence[str]
    """`chat.agent`, unless it was started as another."""
    chat_id: str
    period: Duration
    """Those that were made since then: `"7d"`."""
    from_: datetime
    to: datetime
    """Those that were made between these times."""
    limit: int
    """Sessions of one page (20, at most 100)."""
    cursor: str | None
    """`next` of an earlier page, or `previous`."""


def filter_query(filters: ListFilters) -> dict[str, str]:
    """The filters as the gateway reads them. Raises: BadRequest for one that there is not: it would show all."""
    if unknown := filters.keys() - ListFilters.__annotations__.keys():
        known = ", ".join(sorted(ListFilters.__annotations__))
        raise BadRequest(f"there is no such filter; there are {known}", field=min(unknown))
    agents = [each if isinstance(each, str) else each.id for each in _several(filters.get("agent"))]
    made_from = filters.get("from_")
    if "period" in filters:
        made_from = datetime.now(UTC) - timedelta(seconds=seconds(filters["period"]))
    cursor = filters.get("cursor") or ""
    named = {
        "filter[taskIdentifier]": ",".join(agents),
        "filter[type]": ",".join(_several(filters.get("type"))),
        "filter[tags]": ",".join(_several(filters.get("tag"))),
        "filter[user]": filters.get("user"),
        "filter[status]": ",".join(_several(filters.get("status"))).upper(),
        "filter[externalId]": filters.get("chat_id"),
        "filter[createdAt][from]": _ms(made_from),
        "filter[createdAt][to]": _ms(filters.get("to")),
        "page[size]": str(filters.get("limit", PAGE)),
        "page[before]" if cursor.startswith(BEFORE) else "page[after]": cursor.removeprefix(BEFORE),
    }
    return {name: value for name, value in named.items() if value}


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
        "expiresAt": None if wanted.expires_at is None else wanted.expires_at.astimezone(UTC).isoformat(),
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


def page(gateway: Gateway, filters: ListFilters) -> Steps[dict[str, Any]]:
    """One page: `data`, and `pagination` with `next` and `previous` where there are more."""
    return (yield from gateway.json("GET", SESSIONS, None, **filter_query(filters)))


def append(gateway: Gateway, chat_id: str, log: str, record: Mapping[str, Any]) -> Steps[dict[str, Any]]:
    """Put one record into the inbox (`in`), or beside the running answer (`out`); made again, it counts once."""
    path = f"/realtime/v1/sessions/{quote(chat_id, safe='')}/{log}/append"
    call = Call("POST", path, dict(record), headers={"X-Part-Id": new_id()})
    reply: Reply = yield from gateway.ask(call)
    return gateway.told(reply)


def _several(given: Any) -> list[Any]:
    """One value or several, as a list."""
    if given is None:
        return []
    return list(given) if isinstance(given, list | tuple | set | frozenset) else [given]


def _ms(at: datetime | None) -> str | None:
    return None if at is None else str(int(at.timestamp() * 1000))


def _path(chat_id: str) -> str:
    return f"{SESSIONS}/{quote(chat_id, safe='')}"
