"""Sessions from the gateway's side: made, found, listed, changed, closed. The worker's side is `lease`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

import orjson

from chatagent.errors import Closed, NotFound, Retryable
from chatagent.ids import new_id
from chatagent.record import Busy
from chatagent.redis.doorbell import tell_feeds
from chatagent.redis.error import store_errors
from chatagent.redis.keys import Keys
from chatagent.redis.listing import Listings, labels
from chatagent.redis.script import Command, run, script
from chatagent.redis.session import ID_PREFIX, Session, pairs, read_session
from chatagent.runtime.port import SessionKind
from chatagent.ui import encode_value


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


class Sessions(Listings):
    """The gateway's access to sessions."""

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
        history: Sequence[Mapping[str, Any]] = (),
        expires_at_ms: int | None = None,
    ) -> tuple[Session, bool]:
        """Make the session of `chat_id`, or find it; says whether it is new. `history` is what a new one starts with.

        From `expires_at_ms` on it counts as closed.

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
                **({} if expires_at_ms is None else {"expires_at": expires_at_ms}),
            }
            now, past = int(time.time() * 1000), [encode_value(message) for message in history]
            key, stands = self.keys.session(session_id), labels(agent, user, tags, kind)
            args = [now, len(past), *past, *[item for pair in fields.items() for item in pair]]
            replies = run(
                self.client,
                *[("ZADD", self.keys.listing(*label), "NX", now, session_id) for label in stands],
                script("create")([key, self.keys.history(session_id)], args),
                ("HGETALL", key),
                *tell_feeds(self.keys, session_id, [] if kind == "task" else [*stands, ("chat", fields["ext"])]),
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

    def update(self, session: Session, changes: Mapping[str, Any]) -> Session:
        """Replace `tags` or `metadata`; gives the session as it is now. New tags are listed first. Raises: NotFound."""
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
                script("update")([self.keys.session(session.id)], fields),
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
