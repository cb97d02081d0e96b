"""Side channels of sessions: named pairs of logs beside the chat. What is written there wakes no worker.

One side is kept and numbered like an outbox, under an id of its own (`side_id`): `Outbox` and readers of outboxes read
it as they read those.
"""

from __future__ import annotations

from typing import Any, Literal

import orjson
import redis

from chatagent.ids import new_id
from chatagent.redis.error import store_errors
from chatagent.redis.keys import Keys
from chatagent.redis.script import run, script
from chatagent.ui import encode_value

#: `in` is written by clients, `out` by servers.
Side = Literal["in", "out"]
#: Most records of one side that are kept, and seconds after the last one until all are forgotten.
MAX_RECORDS = 10_000
KEPT_S = 7 * 86_400
#: Seconds for which the same part id writes a record once.
PART_TTL_S = 300


def side_id(session_id: str, name: str, side: Side) -> str:
    """What stands for a session's id in the keys of one side."""
    return f"{session_id}.{side}.{name}"


class Channels:
    """Writes to side channels."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self.client = client
        self.keys = keys

    def append(self, side: str, value: Any, part_id: str | None = None) -> int:
        """Add a record; its number. The same part id again within 5 minutes adds nothing. Raises: StoreDown."""
        part = part_id or new_id()
        record = encode_value({"data": value, "id": part})
        names = [self.keys.session(side), self.keys.outbox(side), self.keys.part(side, part)]
        args = [record, self.keys.out_channel(side), PART_TTL_S, MAX_RECORDS, KEPT_S]
        with store_errors():
            (seq,) = run(self.client, script("channel")(names, args))
        return int(seq)


def read_value(record: bytes) -> dict[str, Any]:
    """A record's `data` and `id`."""
    found: dict[str, Any] = orjson.loads(record)
    return found
