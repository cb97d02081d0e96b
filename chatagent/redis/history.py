"""The conversation as a reader sees it: what is committed, and what is still on its way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis

from chatagent.errors import NotFound
from chatagent.record import InRecord
from chatagent.redis.entry import read_inbox_entry
from chatagent.redis.error import store_errors
from chatagent.redis.keys import Keys
from chatagent.redis.session import Session, read_session
from chatagent.ui import decode


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consistent look at a session: `messages` are committed, `unread` not answered yet, in order.

    The outbox after `session.complete_seq` belongs to the turn that runs.
    """

    session: Session
    messages: list[dict[str, Any]]
    unread: list[InRecord]


class History:
    """Reads histories."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self.client = client
        self.keys = keys

    def read(self, session_id: str) -> Snapshot:
        """The whole conversation, in one transaction. Raises: NotFound, StoreDown."""
        with store_errors(), self.client.pipeline(transaction=True) as pipe:
            pipe.hgetall(self.keys.session(session_id))
            pipe.lrange(self.keys.history(session_id), 0, -1)
            pipe.xrange(self.keys.inbox(session_id))
            pipe.hgetall(self.keys.edits(session_id))
            fields, messages, entries, edits = pipe.execute()
        if not fields:
            raise NotFound(f"there is no session {session_id!r}")
        session = read_session(fields)
        records = [read_inbox_entry(entry, edits) for entry in entries]
        return Snapshot(
            session=session,
            messages=[decode(message) for message in messages],
            unread=[record for record in records if record.seq > session.in_cursor],
        )
