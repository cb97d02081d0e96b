"""Doorbells: pub/sub messages that hint at new records. They carry the records; the log stays the truth.

Payload of an outbox bell: `<first seq> <count>`, then one line per record unless the batch was too large to carry.
Payload of a worker bell: `<kind> <session id> <seq>`.
"""

from __future__ import annotations

from chatagent.record import Bell

#: A bell carries at most this many bytes of records; beyond it readers fetch them from the log.
MAX_BELL_BYTES = 256 * 1024


def parse_bell(payload: bytes) -> Bell:
    """Read an outbox bell."""
    head, *records = payload.split(b"\n")
    first, count = head.split(b" ")
    return Bell(int(first), int(count), records)


def parse_worker_bell(payload: bytes) -> tuple[str, str, int]:
    """Read a worker bell: kind, session id, seq."""
    kind, session_id, seq = payload.decode().split(" ")
    return kind, session_id, int(seq)
