"""The outbox from the gateway's side: read from a cursor, written beside an answer. (The worker's side is `lease`.)"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import redis

from chatagent.record import OutRecord, control_headers
from chatagent.redis.doorbell import MAX_BELL_BYTES
from chatagent.redis.error import store_errors
from chatagent.redis.keys import Keys
from chatagent.redis.script import Command, run, script
from chatagent.redis.session import Session

#: Records fetched in one read.
PAGE = 512
#: Seconds within which a reader that was cut off may come back for an answer that has ended meanwhile.
CUT_TTL_S = 120
#: Seconds for which the batches of a writer are known.
WRITER_TTL_S = 600


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

    def last_turn(self, session: Session) -> dict[str, Any]:
        """What the last turn-complete record says; empty before the first. Raises: StoreDown."""
        records = self.read(session.id, session.complete_seq - 1, limit=1)
        if not records or records[0].control != "turn-complete":
            return {}
        return control_headers(records[0].raw)

    def end(self, session_id: str) -> int | None:
        """Seq of the newest record, -1 before the first; None when there is no such session. Raises: StoreDown."""
        with store_errors():
            found = cast("bytes | None", self.client.hget(self.keys.session(session_id), "out_seq"))
        return None if found is None else int(found)

    def append_beside(self, session_id: str, part_id: str, record: bytes) -> bool:
        """Write one raw record beside the running answer, once per part id; False when nothing is being answered.

        Raises: StoreDown.
        """
        with store_errors():
            (answer,) = run(self.client, append_beside_command(self.keys, session_id, part_id, 1, [record]))
        return bool(answer[0] != b"idle")

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


def append_beside_command(
    keys: Keys, session_id: str, writer: str, number: int, records: Sequence[bytes], *, turn: int | None = None
) -> Command:
    """Write batch `number` of a writer (from 1) while a turn runs: any, or that one."""
    names = [keys.session(session_id), keys.outbox(session_id), keys.part(session_id, f"stream-{writer}")]
    head = ["" if turn is None else turn, number, keys.out_channel(session_id), MAX_BELL_BYTES, WRITER_TTL_S]
    return script("stream")(names, [*head, *records])


def read_outbox_entry(entry: Any) -> OutRecord:
    """One stream entry of an outbox."""
    entry_id, fields = entry
    return OutRecord(int(entry_id.split(b"-")[0]) - 1, fields[b"r"])
