"""Sessions as the gateway sees them: made, found, listed, closed. The worker's side is `lease`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal, cast

import orjson
import redis

from chatagent.errors import Closed, NotFound, Retryable, StoreDown
from chatagent.ids import new_id
from chatagent.record import Busy
from chatagent.redis.doorbell import tell_feeds
from chatagent.redis.keys import Keys
from chatagent.redis.script import Command, run, script
from chatagent.runtime.port import SessionKind

Status = Literal["idle", "queued", "running"]
#: What a listing can be narrowed to: `waiting` for the user (an approval, the answer to a tool call), `closed`, else
#: the status.
Standing = Literal["idle", "queued", "running", "waiting", "closed"]

#: Session ids start with this; an app's own chat id must not.
ID_PREFIX = "session_"
#: Sessions of a listing that are read at once.
_WALK = 50
#: Milliseconds after which an entry of a listing without a session is dropped: before, it may be on its way.
_STALE_MS = 60_000

#: A place in a listing: ms of the last activity, and the session id where several share them.
Place = tuple[int, str]


@contextmanager
def store_errors() -> Iterator[None]:
    """Translate the errors of redis-py, once, at the edge."""
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise StoreDown("Redis does not answer; try again in a moment") from error


@dataclass(frozen=True, slots=True)
class Session:
    """The durable conversation as it stands; times in ms since 1970, seqs -1 while there is no record."""

    id: str
    chat_id: str
    agent: str
    status: Status
    in_seq: int
    in_cursor: int
    out_seq: int
    complete_seq: int
    turn: int
    created_at_ms: int
    updated_at_ms: int
    user: str | None = None
    title: str | None = None
    run_id: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Any = None
    trigger_config: dict[str, Any] = field(default_factory=dict)
    usage: dict[str, Any] = field(default_factory=dict)
    closed_at_ms: int | None = None
    closed_reason: str | None = None
    kind: SessionKind = "agent"
    busy: Busy = "enqueue"
    #: How the last turn ended (`completed`, `stopped`, `failed`), or that it waits for the user (`waiting`).
    outcome: str | None = None
    previous_run_id: str | None = None
    #: Turns of the run, and when it is over unless another comes (0: it is).
    run_turns: int = 0
    run_until_ms: int = 0
    #: The run is in no process: whoever takes the next message resumes it.
    suspended: bool = False
    preloaded: bool = False

    @property
    def closed(self) -> bool:
        return self.closed_at_ms is not None

    @property
    def standing(self) -> Standing:
        if self.closed:
            return "closed"
        return "waiting" if self.status == "idle" and self.outcome == "waiting" else self.status


@dataclass(frozen=True, slots=True)
class Listed:
    """A session and its place in a listing."""

    session: Session
    place: Place


def read_session(fields: Mapping[bytes, bytes]) -> Session:
    """A session from its hash."""

    def text(name: str) -> str | None:
        value = fields.get(name.encode())
        return value.decode() if value else None

    def number(name: str) -> int:
        return int(fields.get(name.encode()) or -1)

    def json(name: str, default: Any) -> Any:
        value = fields.get(name.encode())
        return orjson.loads(value) if value else default

    return Session(
        id=text("id") or "",
        chat_id=text("ext") or "",
        agent=text("agent") or "",
        status=cast(Status, text("status") or "idle"),
        in_seq=number("in_seq"),
        in_cursor=number("in_cursor"),
        out_seq=number("out_seq"),
        complete_seq=number("complete_seq"),
        turn=number("turn"),
        created_at_ms=number("created_at"),
        updated_at_ms=number("updated_at"),
        user=text("user"),
        title=text("title"),
        run_id=text("run_id"),
        tags=tuple(json("tags", ())),
        metadata=json("metadata", None),
        trigger_config=json("trigger_config", {}),
        usage=json("usage", {}),
        closed_at_ms=number("closed_at") if text("closed_at") else None,
        closed_reason=text("closed_reason"),
        kind=cast(SessionKind, text("kind") or "agent"),
        busy=cast(Busy, text("busy") or "enqueue"),
        outcome=text("outcome"),
        previous_run_id=text("previous_run_id"),
        run_turns=max(0, number("run_turns")),
        run_until_ms=max(0, number("run_until")),
        suspended=text("suspended") == "1",
        preloaded=text("preloaded") == "1",
    )


def labels(agent: str, user: str | None, tags: Sequence[str], kind: SessionKind = "agent") -> list[tuple[str, ...]]:
    """The listings that a session stands in. Runs of tasks are no chats."""
    if kind == "task":
        return [("task", agent)]
    found: list[tuple[str, ...]] = [(), ("agent", agent)]
    if user is not None:
        found.append(("user", user))
    return found + [("tag", tag) for tag in tags]


def close_commands(keys: Keys, session_id: str, stands: Sequence[tuple[str, ...]], reason: str | None) -> list[Command]:
    """What closes a session that stands in these listings; the last one's answer is that of `close.lua`."""
    now = int(time.time() * 1000)
    headers = orjson.dumps({"reason": reason} if reason else {})
    names = [keys.session(session_id), keys.outbox(session_id)]
    channels = [keys.out_channel(session_id), keys.worker_channel("")]
    return [
        *[("ZADD", keys.listing(*label, status="closed"), "NX", now, session_id) for label in stands],
        script("close")(names, [reason or "", *channels, headers]),
    ]


class Sessions:
    """The gateway's access to sessions."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self.client = client
        self.keys = keys

    def create(
        self,
        chat_id: str | None,
        agent: str,
        *,
        queue: str,
        user: str | None = None,
        tags: Sequence[str] = (),
        metadata: Any = None,
        trigger_config: Mapping[str, Any] | None = None,
        busy: Busy = "enqueue",
        kind: SessionKind = "agent",
    ) -> tuple[Session, bool]:
        """Make the session of `chat_id`, or find it; says whether it is new.

        The id is claimed first, then the session made under it: dying in between leaves an id that the next
        caller fills. Raises: Closed.
        """
        session_id = new_id(ID_PREFIX, 24)
        with store_errors():
            if chat_id is not None:
                key = self.keys.ext(chat_id)
                taken = cast(bytes | None, self.client.set(key, session_id, nx=True, get=True))
                session_id = taken.decode() if taken else session_id
            fields: dict[str, Any] = {
                "id": session_id,
                "ext": chat_id if chat_id is not None else session_id,
                "agent": agent,
                "queue": queue,
                "user": user or "",
                "tags": orjson.dumps(list(tags)),
                "metadata": orjson.dumps(metadata),
                "trigger_config": orjson.dumps(dict(trigger_config or {})),
                "busy": busy,
                "kind": kind,
            }
            now = int(time.time() * 1000)
            key, stands = self.keys.session(session_id), labels(agent, user, tags, kind)
            replies = run(
                self.client,
                *[("ZADD", self.keys.listing(*label), "NX", now, session_id) for label in stands],
                script("create")([key], [now, *[item for pair in fields.items() for item in pair]]),
                ("HGETALL", key),
                *tell_feeds(self.keys, session_id, [] if kind == "task" else stands),
            )
        answer, stored = replies[len(stands) : len(stands) + 2]
        if answer[0] == b"closed":
            raise Closed(answer[1].decode() or None)
        return read_session(pairs(stored)), bool(answer[0] == b"created")

    def resolve(self, chat_id: str) -> str | None:
        """The session id of a chat id (or of a session id); None when there is none."""
        if chat_id.startswith(ID_PREFIX):
            return chat_id
        with store_errors():
            found = cast(bytes | None, self.client.get(self.keys.ext(chat_id)))
        return found.decode() if found else None

    def find(self, chat_id: str) -> Session | None:
        """The session of a chat id or session id, if there is one."""
        session_id = self.resolve(chat_id)
        if session_id is None:
            return None
        with store_errors():
            fields = cast(dict[bytes, bytes], self.client.hgetall(self.keys.session(session_id)))
        return read_session(fields) if fields else None

    def get(self, chat_id: str) -> Session:
        """The session of a chat id or session id. Raises: NotFound."""
        session = self.find(chat_id)
        if session is None:
            raise NotFound(f"there is no chat {chat_id!r}; create it with POST /api/v1/sessions")
        return session

    def list(
        self, *label: str, limit: int = 50, before_ms: int | None = None, status: Standing | None = None
    ) -> list[Session]:
        """Sessions of a listing (`agent`, `user`, `tag` or `task` and its value; none: all), last active first."""
        cursor = None if before_ms is None else (before_ms, "")
        return [listed.session for listed in islice(self.walk(*label, cursor=cursor, status=status), limit)]

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

    def update(self, session: Session, changes: Mapping[str, Any]) -> Session:
        """Replace `tags` or `metadata` of a session; gives it as it is now. New tags are listed first."""
        fields = [item for name, value in changes.items() for item in (name, orjson.dumps(value))]
        tags = set(changes.get("tags", session.tags))
        statuses = [None, *([session.standing] if session.standing in ("waiting", "closed") else [])]
        now = int(time.time() * 1000)
        with store_errors():
            run(
                self.client,
                *[
                    ("ZADD", self.keys.listing("tag", tag, status=status), now, session.id)
                    for tag in sorted(tags)
                    for status in statuses
                ],
                ("HSET", self.keys.session(session.id), "updated_at", now, *fields),
                *[
                    ("ZREM", self.keys.listing("tag", tag, status=status), session.id)
                    for tag in sorted({*session.tags} - tags)
                    for status in statuses
                ],
                *tell_feeds(self.keys, session.id, labels(session.agent, session.user, sorted({*session.tags} | tags))),
            )
        return self.get(session.id)

    def close(self, session_id: str, reason: str | None = None) -> str | None:
        """Close a session for good and tell its readers; the first reason counts and is returned. Raises: NotFound."""
        session = self.get(session_id)
        stands = labels(session.agent, session.user, session.tags, session.kind)
        with store_errors():
            replies = run(
                self.client,
                *close_commands(self.keys, session_id, stands, reason),
                *tell_feeds(self.keys, session_id, [] if session.kind == "task" else stands),
            )
        answer = replies[len(stands)]
        if answer[0] == b"missing":
            raise NotFound(f"there is no session {session_id!r}")
        return answer[1].decode() or None

    def expire(self, session_id: str, ttl_s: int) -> None:
        """Forget an ended session after a while; it takes nothing more. Raises: NotFound, Retryable while it runs."""
        session, keys = self.get(session_id), self.keys
        names = (keys.session, keys.inbox, keys.outbox, keys.history, keys.edits, keys.injected)
        with store_errors():
            (answer,) = run(self.client, script("expire")([name(session_id) for name in names], [ttl_s]))
            if answer[0] == b"ok":
                run(self.client, ("EXPIRE", keys.ext(session.chat_id), ttl_s))
        if answer[0] == b"missing":
            raise NotFound(f"there is no session {session_id!r}")
        if answer[0] == b"busy":
            raise Retryable(f"session {session_id!r} has not ended")


def _is_behind(place: Place, cursor: Place | None, backwards: bool) -> bool:
    return cursor is None or (place > cursor if backwards else place < cursor)


def pairs(reply: Mapping[bytes, bytes] | Sequence[bytes]) -> Mapping[bytes, bytes]:
    """HGETALL's reply as a mapping, which a raw command answers as a flat list."""
    if isinstance(reply, Mapping):
        return reply
    return dict(zip(reply[::2], reply[1::2], strict=True))
