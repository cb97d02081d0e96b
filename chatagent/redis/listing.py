"""Listings of sessions, last active first: which a session stands in, and how they are walked."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import cast

import redis

from chatagent.redis.error import store_errors
from chatagent.redis.keys import Keys
from chatagent.redis.script import run
from chatagent.redis.session import Session, Standing, pairs, read_session
from chatagent.runtime.port import SessionKind

#: Sessions of a listing that are read at once.
_WALK = 50
#: Milliseconds after which an entry of a listing without a session is dropped: before, it may be on its way.
_STALE_MS = 60_000

#: A place in a listing: ms of the last activity, and the session id where several share them.
Place = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Listed:
    """A session and its place in a listing."""

    session: Session
    place: Place


def labels(agent: str, user: str | None, tags: Sequence[str], kind: SessionKind = "agent") -> list[tuple[str, ...]]:
    """The listings that a session stands in. Runs of tasks are no chats."""
    if kind == "task":
        return [("task", agent)]
    found: list[tuple[str, ...]] = [(), ("agent", agent)]
    if user is not None:
        found.append(("user", user))
    return found + [("tag", tag) for tag in tags]


class Listings:
    """The gateway's walks through listings."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self.client = client
        self.keys = keys

    def list(self, *label: str, limit: int = 50, status: Standing | None = None) -> list[Session]:
        """Sessions of a listing (`agent`, `user`, `tag` or `task` and its value; none: all), last active first."""
        return [listed.session for listed in islice(self.walk(*label, status=status), limit)]

    def walk(
        self, *label: str, cursor: Place | None = None, backwards: bool = False, status: Standing | None = None
    ) -> Iterator[Listed]:
        """The sessions of a listing after a place in it, last active first; `backwards` those before it, nearest first.

        Reads as far as it is iterated. With `status` only those that stand so now; its cursors are good for the same
        status only.
        """
        if status == "queued" or status == "running":
            yield from self._walk_busy(label, cursor, backwards, status)
            return
        listing = self.keys.listing(*label, status=status if status in ("waiting", "closed") else None)
        bound = "+inf" if cursor is None else str(cursor[0])
        window = ("-inf" if cursor is None else bound, "+inf") if backwards else (bound, "-inf")
        offset = 0
        while True:
            with store_errors():
                found = self.client.zrange(
                    listing, *window, desc=not backwards, byscore=True, withscores=True, offset=offset, num=_WALK
                )
            entries = cast("list[tuple[bytes, float]]", found)
            places = [(int(score), member.decode()) for member, score in entries]
            listed, dropped = self._read(listing, [place for place in places if _is_behind(place, cursor, backwards)])
            yield from (each for each in listed if status is None or each.session.standing == status)
            if len(entries) < _WALK:
                return
            offset += _WALK - dropped

    def _read(self, listing: str, places: Sequence[Place]) -> tuple[Sequence[Listed], int]:
        """The sessions at these places of a listing, and how many entries led nowhere and were dropped."""
        if not places:
            return [], 0
        with store_errors():
            rows = run(self.client, *[("HGETALL", self.keys.session(place[1])) for place in places])
            long_ago = int(time.time() * 1000) - _STALE_MS
            gone = [place[1] for place, row in zip(places, rows, strict=True) if not row and place[0] < long_ago]
            if gone:
                run(self.client, ("ZREM", listing, *gone))
        found = [Listed(read_session(pairs(row)), place) for row, place in zip(rows, places, strict=True) if row]
        return found, len(gone)

    def _walk_busy(
        self, label: tuple[str, ...], cursor: Place | None, backwards: bool, status: Standing
    ) -> Iterator[Listed]:
        """Those that are queued or running, from the sweeper's indexes or the listing, whichever is shorter."""
        listing, indexes = self.keys.listing(*label), (self.keys.leases, self.keys.queued)
        with store_errors():
            size, *sizes = run(self.client, *[("ZCARD", key) for key in (listing, *indexes)])
            sources = indexes if sum(sizes) < size else (listing,)
            members = run(self.client, *[("ZRANGE", key, 0, -1) for key in sources])
        ids = [each.decode() for each in dict.fromkeys(member for found in members for member in found)]
        matching = []
        for start in range(0, len(ids), _WALK):
            read, _ = self._read(listing, [(2**53, session_id) for session_id in ids[start : start + _WALK]])
            for session in (each.session for each in read):
                place = (session.updated_at_ms, session.id)
                stands = label in labels(session.agent, session.user, session.tags, session.kind)
                if stands and session.standing == status and _is_behind(place, cursor, backwards):
                    matching.append(Listed(session, place))
        yield from sorted(matching, key=lambda each: each.place, reverse=not backwards)


def _is_behind(place: Place, cursor: Place | None, backwards: bool) -> bool:
    return cursor is None or (place > cursor if backwards else place < cursor)
