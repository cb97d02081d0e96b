"""The outbox from the gateway's side: read the log from a cursor. (The worker writes it through `lease`.)"""

from __future__ import annotations

from typing import Any, cast

import redis

from chatagent.record import OutRecord
from chatagent.redis.error import store_errors
from chatagent.redis.keys import Keys

#: Records fetched in one read.
PAGE = 512
#: Seconds within which a reader that was cut off may come back for an answer that has ended meanwhile.
CUT_TTL_S = 120


class Outbox:
    """Reads outboxes."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self.client = client
        self.keys = keys

    def read(self, session_id: str, after: int, *, limit: int = PAGE) -> list[OutRecord]:
        """Records after seq `after` (-1: from the oldest kept), at most `limit`, in order.

        A trimmed cursor starts at the oldest record left, without an error.
        """
        with store_errors():
            entries = self.client.xrange(
                self.keys.outbox(session_id), min=f"{max(after, -1) + 2}-0", max="+", count=limit
            )
        return [read_outbox_entry(entry) for entry in cast("list[Any]", entries)]

    def note_cut(self, session_id: str) -> None:
        """Remember for a while that a reader was cut off before its answer had ended. Raises: StoreDown."""
        with store_errors():
            self.client.set(self.keys.cut(session_id), 1, ex=CUT_TTL_S)

    def forget_cut(self, session_id: str) -> None:
        """The reader came back and has its answer. Raises: StoreDown."""
        with store_errors():
            self.client.delete(self.keys.cut(session_id))

    def was_cut(self, session_id: str) -> bool:
        """Whether a reader was cut off lately. Raises: StoreDown."""
        with store_errors():
            return bool(self.client.exists(self.keys.cut(session_id)))


def read_outbox_entry(entry: Any) -> OutRecord:
    """One stream entry of an outbox."""
    entry_id, fields = entry
    return OutRecord(int(entry_id.split(b"-")[0]) - 1, fields[b"r"])
