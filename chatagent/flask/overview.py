"""The chats of a person or a tag as they are now, and each as it changes: no polling, a few bytes per change."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chatagent.errors import BadRequest, Forbidden
from chatagent.flask.token import Identity
from chatagent.record import Bell
from chatagent.redis.feed import Activity, list_activities, read_activities
from chatagent.redis.gateway import GatewayRedis
from chatagent.redis.listing import Place, labels

#: Chats of one page, and at most.
PAGE, MAX_PAGE = 50, 200
#: Digits of a time in ms; more would not fit a score of Redis.
_MAX_DIGITS = 16
#: Changed chats that wait for a slow reader; beyond it the list is read anew.
_MAX_WAITING = 1000
#: Changed chats that are read at once.
_SLICE = 100


@dataclass(frozen=True, slots=True)
class Listing:
    """Which chats are shown, and how many of them at first."""

    label: tuple[str, ...]
    limit: int = PAGE
    cursor: Place | None = None


def read_listing(fields: Mapping[str, Any], identity: Identity) -> Listing:
    """The listing that is asked for by `tag`, `user` or neither: all that one may see.

    Raises: BadRequest, Forbidden.
    """
    tag, user = fields.get("tag"), fields.get("user")
    if tag is not None and user is not None:
        raise BadRequest("name a tag or a user, not both", field="tag")
    for name, value in (("tag", tag), ("user", user)):
        if value is not None and (not isinstance(value, str) or not value):
            raise BadRequest("must be a string", field=name)
    return Listing(_label(tag, user, identity), _limit(fields.get("limit")), read_place(fields.get("cursor")))


def shows(listing: Listing, fields: Mapping[str, Any], identity: Identity) -> bool:
    """Whether these fields ask for the same chats when `identity` asks."""
    try:
        return read_listing(fields, identity).label == listing.label
    except Forbidden:
        return False


def _label(tag: str | None, user: str | None, identity: Identity) -> tuple[str, ...]:
    sees_all = identity.admin or (identity.user is None and identity.may_all("read"))
    if tag is not None:
        if not sees_all and f"read:tags:{tag}" not in identity.scopes:
            raise Forbidden(f"this token may not list chats with the tag {tag!r}; it needs the scope read:tags:{tag}")
        return ("tag", tag)
    if user is None and sees_all:
        return ()
    owner = user if user is not None else identity.user
    if owner is None or not (sees_all or (identity.user == owner and identity.may_all("read"))):
        raise Forbidden("this token may not list these chats; it needs the scope read:sessions and be their user's")
    return ("user", owner)


def _limit(value: Any) -> int:
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    if number is None:
        return PAGE
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= MAX_PAGE:
        raise BadRequest(f"must be a number from 1 to {MAX_PAGE}", field="limit")
    return number


def read_place(value: Any) -> Place | None:
    """A place in a listing, from a cursor. Raises: BadRequest."""
    if value is None:
        return None
    ms, _, session_id = value.partition("-") if isinstance(value, str) else ("", "", "")
    if not (ms.isascii() and ms.isdigit() and len(ms) <= _MAX_DIGITS) or not session_id:
        raise BadRequest("must be a cursor of an earlier page", field="cursor")
    return int(ms), session_id


def show_place(place: Place | None) -> str | None:
    """A place as a cursor."""
    return None if place is None else f"{place[0]}-{place[1]}"


@dataclass(frozen=True, slots=True)
class Update:
    """Chats to show. `whole`: all that was shown before is forgotten, and `cursor` says where the list goes on."""

    chats: list[dict[str, Any]]
    whole: bool = False
    cursor: str | None = None


class Overview:
    """Follows one listing from the moment it is made. `wake` is set whenever `take` may have something new.

    Raises: StoreDown when Redis does not answer.
    """

    def __init__(self, backend: GatewayRedis, listing: Listing, wake: threading.Event) -> None:
        self._backend = backend
        self._listing = listing
        self._wake = wake
        self._lock = threading.Lock()
        self._changed: dict[str, None] = {}
        self._listed = False
        self._leave = backend.subscriber.subscribe(backend.keys.feed_channel(*listing.label), self)

    def ring(self, bell: Bell) -> None:
        """A chat changed (called by the subscriber)."""
        with self._lock:
            for session_id in bell.records:
                self._changed[session_id.decode()] = None
            if len(self._changed) > _MAX_WAITING:
                self._listed = False
        self._wake.set()

    def lost(self) -> None:
        """Changes may have been missed (called by the subscriber)."""
        with self._lock:
            self._listed = False
        self._wake.set()

    def take(self) -> Update | None:
        """What is new; None when nothing is. Raises: StoreDown; the next call tries again."""
        with self._lock:
            listed, self._listed = self._listed, True
            taken = list(self._changed)[:_SLICE] if listed else []
            for session_id in taken if listed else list(self._changed):
                del self._changed[session_id]
            if self._changed:
                self._wake.set()
        try:
            if not listed:
                return page(self._backend, self._listing)
            return Update(self._read(taken)) if taken else None
        except BaseException:
            with self._lock:
                self._listed = self._listed and listed
                self._changed.update(dict.fromkeys(taken))
            raise

    def _read(self, session_ids: list[str]) -> list[dict[str, Any]]:
        """These chats; of one that left the listing, only that it is gone."""
        found = {
            each.session.id: each for each in read_activities(self._backend.client, self._backend.keys, session_ids)
        }
        shown = []
        for session_id in session_ids:
            activity = found.get(session_id)
            if activity is not None and self._stands(activity):
                shown.append(chat_json(activity))
            else:
                shown.append({"sessionId": session_id, "state": "gone"})
        return shown

    def _stands(self, activity: Activity) -> bool:
        session = activity.session
        return self._listing.label in labels(session.agent, session.user, session.tags, session.kind)

    def close(self) -> None:
        """Follow it no more."""
        self._leave()


def page(backend: GatewayRedis, listing: Listing) -> Update:
    """One page of a listing as it stands. Raises: StoreDown."""
    found, more = list_activities(backend.sessions, *listing.label, limit=listing.limit, cursor=listing.cursor)
    return Update([chat_json(each) for each in found], whole=True, cursor=show_place(more))


def chat_json(activity: Activity) -> dict[str, Any]:
    """A chat as feeds show it; times in ms since 1970."""
    session = activity.session
    return {
        "id": session.chat_id,
        "sessionId": session.id,
        "agent": session.agent,
        "state": activity.state,
        "waiting": activity.waiting,
        "title": session.title,
        "user": session.user,
        "tags": list(session.tags),
        "turn": max(session.turn, 0),
        "createdAt": session.created_at_ms,
        "updatedAt": session.updated_at_ms,
        "closedReason": session.closed_reason,
    }
