"""Entries of an inbox, as Redis keeps them: a stream entry, and what was changed in it while it waited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from chatagent.record import Busy, InRecord, Kind
from chatagent.redis.session import pairs
from chatagent.ui import decode

#: An entry as XRANGE answers it: its id, and its fields as a mapping or a flat list.
Entry = Sequence[Any]


def read_inbox_entry(entry: Entry, edits: Mapping[bytes, bytes] | None = None) -> InRecord:
    """One record. `edits` (key `edits`): `p<seq>` a new payload, `b<seq>` a new busy policy."""
    found = pairs(entry[1])
    seq = int(entry[0].split(b"-")[0]) - 1
    edited = edits or {}
    payload = edited.get(b"p%d" % seq, found[b"p"])
    busy = edited.get(b"b%d" % seq, found.get(b"b", b"enqueue"))
    return InRecord(
        seq=seq,
        kind=cast(Kind, found[b"k"].decode()),
        payload=decode(payload),
        at_ms=int(found[b"t"]),
        busy=cast(Busy, busy.decode()),
    )


def is_taken(fields: Mapping[bytes, bytes], seq: int) -> bool:
    """Whether a turn answers this record already, or has reserved it; `fields` are the session's."""
    return fields.get(b"turn_seq") == b"%d" % seq or b" %d " % seq in fields.get(b"taken", b"")
