"""The outbox from the gateway's side: read the log from a cursor. (The worker writes it through `lease`.)"""

from __future__ import annotations

from typing import Any, cast

import redis

from chatagent.record import OutRecord
from chatagent.redis.keys import Keys
from chatagent.redis.session import store_errors

#: Records fetched in one read.
PAGE = 512


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


def read_outbox_entry(entry: Any) -> OutRecord:
    """One stream entry of an outbox."""
    entry_id, fields = entry
    return OutRecord(int(entry_id.split(b"-")[0]) - 1, fields[b"r"])
