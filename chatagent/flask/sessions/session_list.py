"""Listings of sessions: which are asked for, and a page of them with the cursors of its neighbours."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from werkzeug.datastructures import MultiDict

from chatagent.errors import BadRequest
from chatagent.flask.query import read_number
from chatagent.redis.listing import Listed, Place
from chatagent.redis.session import Session
from chatagent.redis.sessions import Sessions

#: Type of every session of ours.
SESSION_TYPE = "chat.agent"
#: Sessions of one page, and at most.
LISTED, MAX_LISTED = 20, 100
#: Sessions looked at for one page: when few fit the filters it is short, and its `next` goes on.
_MAX_SEEN = 2000
#: What the published client knows, and what an open chat does at the moment.
STATUSES = ("ACTIVE", "CLOSED", "EXPIRED", "IDLE", "QUEUED", "RUNNING")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True, slots=True)
class Query:
    """Which sessions are asked for; an empty tuple is any."""

    size: int = LISTED
    after: Place | None = None
    before: Place | None = None
    types: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    chat_id: str | None = None
    user: str | None = None
    from_ms: int = 0
    to_ms: int = 2**53

    @property
    def label(self) -> tuple[str, ...]:
        """The narrowest listing that holds them all."""
        if self.user is not None:
            return ("user", self.user)
        if len(self.tags) == 1:
            return ("tag", self.tags[0])
        return ("agent", self.agents[0]) if len(self.agents) == 1 else ()

    def fits(self, session: Session) -> bool:
        """Whether a session is one of them; of several values of a filter one is enough."""
        return (
            (not self.types or SESSION_TYPE in self.types)
            and (not self.tags or not {*self.tags}.isdisjoint(session.tags))
            and (not self.agents or session.agent in self.agents)
            and (not self.statuses or not {*self.statuses}.isdisjoint(_states(session)))
            and self.chat_id in (None, session.chat_id)
            and self.user in (None, session.user)
            and self.from_ms <= session.created_at_ms <= self.to_ms
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Sessions, last active first, and where the pages beside this one are."""

    sessions: list[Session]
    pagination: dict[str, str]


def read_query(args: MultiDict[str, str]) -> Query:
    """Read the query string of a listing. Raises: BadRequest."""
    after, before = (_place(args, *names) for names in (("page[after]", "cursor"), ("page[before]",)))
    if before is not None:
        # The published client goes back with the cursor beside the one that had brought it forth.
        after = None
    statuses = _values(args, "filter[status]")
    if not {*statuses} <= {*STATUSES}:
        raise BadRequest(f"must be one of {', '.join(STATUSES)}", field="filter[status]")
    period = args.get("filter[createdAt][period]")
    from_ms = read_number(args, "filter[createdAt][from]", default=0, least=0, most=2**53)
    return Query(
        size=read_number(args, "page[size]", "limit", default=LISTED, least=1, most=MAX_LISTED),
        after=after,
        before=before,
        types=_values(args, "filter[type]"),
        tags=_values(args, "filter[tags]"),
        agents=_values(args, "filter[taskIdentifier]"),
        statuses=statuses,
        chat_id=args.get("filter[externalId]"),
        user=args.get("filter[user]"),
        from_ms=from_ms if period is None else int((time.time() - _period_s(period)) * 1000),
        to_ms=read_number(args, "filter[createdAt][to]", default=2**53, least=0, most=2**53),
    )


def read_page(sessions: Sessions, query: Query, user: str | None) -> Page:
    """One page; of a user's own sessions only, when one is named."""
    if query.chat_id is not None:
        found = sessions.find(query.chat_id)
        mine = found is not None and user in (None, found.user) and query.fits(found)
        return Page([found] if found is not None and mine else [], {})
    label = ("user", user) if user is not None else query.label
    backwards = query.before is not None
    walked = sessions.walk(*label, cursor=query.before or query.after, backwards=backwards)
    page, following = _collect(walked, query)
    if backwards:
        page.reverse()
    places = [listed.place for listed in page]
    ends = [following, places[0] if places and query.after else None]
    if backwards:
        ends = [places[-1] if places else None, following]
    named = zip(("next", "previous"), ends, strict=True)
    return Page([each.session for each in page], {name: f"{at[0]}-{at[1]}" for name, at in named if at is not None})


def _collect(walked: Iterator[Listed], query: Query) -> tuple[list[Listed], Place | None]:
    """The sessions of a page, and the place after which more may come."""
    page: list[Listed] = []
    last: Place | None = None
    for listed in islice(walked, _MAX_SEEN):
        if query.fits(listed.session):
            if len(page) == query.size:
                return page, page[-1].place
            page.append(listed)
        last = listed.place
    more = next(walked, None) is not None
    return page, last if more else None


def _states(session: Session) -> set[str]:
    if session.expired:
        return {"EXPIRED"}
    return {"CLOSED"} if session.closed else {"ACTIVE", session.status.upper()}


def _values(args: MultiDict[str, str], name: str) -> tuple[str, ...]:
    """A filter's values: repeated, or with commas between."""
    return tuple(value for given in args.getlist(name) for value in given.split(",") if value)


def _place(args: MultiDict[str, str], *names: str) -> Place | None:
    """A cursor, as an earlier page gave it."""
    for name in names:
        value = args.get(name)
        if value is not None:
            match = re.fullmatch(r"(\d{1,16})(?:-(session_\w+))?", value, re.ASCII)
            if match is None or int(match[1]) == 0:
                raise BadRequest("must be a cursor that an earlier page gave", field=name)
            return int(match[1]), match[2] or ""
    return None


def _period_s(period: str) -> int:
    """Seconds of a period like `30m` or `7d`. Raises: BadRequest."""
    match = re.fullmatch(r"(\d{1,6})([smhdw])", period, re.ASCII)
    if match is None:
        raise BadRequest("must be a number and one of s, m, h, d, w, as in 7d", field="filter[createdAt][period]")
    return int(match[1]) * _UNIT_S[match[2]]
