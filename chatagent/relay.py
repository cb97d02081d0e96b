"""The sans-I/O half of every reader of an outbox: order, gaps, slow readers, and the records of one turn.

Doorbells are hints: they may be lost, repeated, or come while the log is being read. The log is the truth. A `Tail`
merges the two into each record once and in order, and says when the log must be read; an `Answer` picks one turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chatagent.record import Bell, OutRecord, control_headers, control_kind

#: Bytes of records that wait for a slow reader; beyond it they are forgotten and read from the log later.
MAX_WAITING_BYTES = 1024 * 1024
#: Most records of one read of the log.
MAX_PAGE = 512
#: Records of the first read, before their size is known.
_FIRST_PAGE = 32
#: First byte of a control record.
_CONTROL = ord("#")


@dataclass(frozen=True, slots=True)
class Batch:
    """Records `first … first + len(records) - 1`."""

    first: int
    records: list[bytes]

    @property
    def last(self) -> int:
        return self.first + len(self.records) - 1


@dataclass(frozen=True, slots=True)
class Read:
    """A read of the log that a `Tail` wants: at most `limit` records after seq `after`."""

    after: int
    limit: int


class Tail:
    """The records of one outbox after a cursor, each once, in order, in bounded memory.

    A reader subscribes first, so bells may ring before `place` says where it stands. Not thread-safe.
    """

    def __init__(self, *, max_bytes: int = MAX_WAITING_BYTES) -> None:
        self._max_bytes = max_bytes
        self._waiting: deque[Batch] = deque()
        self._bytes = 0
        self._placed = False
        #: Last record handed out, and last record that waits (the same when none waits).
        self._cursor = -1
        self._end = -1
        self._behind = False
        self._reading = False
        #: Last record that a bell told of since the last read began.
        self._heard = -1
        self._record_bytes = max_bytes // _FIRST_PAGE

    @property
    def cursor(self) -> int:
        """Seq of the last record handed out; -1 before the first."""
        return self._cursor

    @property
    def must_read(self) -> bool:
        """The next records can only come from the log."""
        return self._placed and self._behind and not self._waiting

    def place(self, after: int, *, caught_up: bool) -> None:
        """Start after seq `after`. `caught_up`: every later record was rung since the reader subscribed."""
        early, self._waiting, self._bytes = self._waiting, deque(), 0
        behind = self._behind
        self._placed, self._cursor, self._end = True, after, after
        self._behind = behind or not caught_up
        for batch in early:
            self.ring(Bell(batch.first, len(batch.records), batch.records))

    def ring(self, bell: Bell) -> None:
        """Take a doorbell."""
        if not self._placed:
            self._keep_early(bell)
            return
        if bell.last <= self._end:
            return
        self._heard = max(self._heard, bell.last)
        if self._behind:
            return
        if not bell.records or bell.first > self._end + 1:
            self._behind = True
            return
        self._add(Batch(self._end + 1, bell.records[self._end + 1 - bell.first :]))
        if self._bytes > self._max_bytes:
            self._forget()

    def lost(self) -> None:
        """Bells may have been missed: only the log knows."""
        self._behind = True
        self._reading = False

    def read(self) -> Read:
        """Begin a read of the log; its records are given to `page`."""
        self._heard, self._reading = -1, True
        limit = max(1, min(MAX_PAGE, self._max_bytes // max(1, self._record_bytes)))
        return Read(self._end, limit)

    def page(self, read: Read, records: Sequence[OutRecord]) -> None:
        """Take what a read found. A first record that is not the next one means that the log was trimmed."""
        fresh = [record for record in records if record.seq > self._end]
        if fresh:
            self._record_bytes = sum(len(record.raw) for record in fresh) // len(fresh)
            self._add(Batch(fresh[0].seq, [record.raw for record in fresh]))
        complete = self._reading and len(records) < read.limit and self._end >= self._heard
        self._behind, self._reading = not complete, False

    def take(self, *, max_bytes: int, max_records: int | None = None) -> Batch | None:
        """The next records without a gap between them, about `max_bytes` of them but at least one."""
        if not self._waiting or max_records == 0:
            return None
        first, taken, size = self._waiting[0].first, list[bytes](), 0
        while self._waiting and size < max_bytes and self._waiting[0].first == first + len(taken):
            room = len(self._waiting[0].records) if max_records is None else max_records - len(taken)
            if room <= 0:
                break
            part = self._take_part(max_bytes - size, room)
            taken += part
            size += sum(map(len, part))
        self._bytes -= size
        self._cursor = first + len(taken) - 1
        return Batch(first, taken)

    def _take_part(self, max_bytes: int, max_records: int) -> list[bytes]:
        """Up to that much from the batch that waits longest; what is left of it goes on waiting."""
        batch = self._waiting.popleft()
        count, size = 0, 0
        for record in batch.records[:max_records]:
            count, size = count + 1, size + len(record)
            if size >= max_bytes:
                break
        if count < len(batch.records):
            self._waiting.appendleft(Batch(batch.first + count, batch.records[count:]))
            return batch.records[:count]
        return batch.records

    def _add(self, batch: Batch) -> None:
        self._waiting.append(batch)
        self._bytes += sum(map(len, batch.records))
        self._end = batch.last

    def _forget(self) -> None:
        self._waiting.clear()
        self._bytes = 0
        self._end, self._behind = self._cursor, True

    def _keep_early(self, bell: Bell) -> None:
        if not bell.records or self._bytes > self._max_bytes:
            self._waiting.clear()
            self._bytes, self._behind = 0, True
        elif not self._behind:
            self._add(Batch(bell.first, bell.records))


class Answer:
    """The chunks of the turn that answers inbox record `seq`; records of other turns are left out.

    A message that another turn took in, or that was cancelled, has no chunks of its own: its answer just ends.
    `after` is where its reader starts. A turn covers every message up to its `in`. A crash in the turn starts it
    again in the log: the same `in`, and its chunks simply go on.
    """

    def __init__(self, seq: int, after: int) -> None:
        self.seq = seq
        self.started = False
        self.done = False
        #: The turn left the log before it was read to its end: the history holds what it said.
        self.trimmed = False
        #: Headers of the turn-complete record: `outcome`, `message_id`, `usage`.
        self.headers: dict[str, Any] = {}
        self._next = after + 1
        self._jumped = False

    def pick(self, batch: Batch) -> list[bytes]:
        """The turn's chunks among these records."""
        if batch.first != self._next:
            self._jumped = True
            if self.started:
                self._end(trimmed=True)
        self._next = batch.last + 1
        picked: list[bytes] = []
        for raw in batch.records:
            if self.done:
                break
            if raw[0] == _CONTROL:
                self._control(raw)
            elif self.started:
                picked.append(raw)
        return picked

    def _control(self, raw: bytes) -> None:
        kind = control_kind(raw)
        if kind not in ("turn-start", "turn-complete", "message-cancelled"):
            return
        headers = control_headers(raw)
        answered = int(headers["in"])
        if kind == "message-cancelled":
            self.done = self.done or answered == self.seq
            return
        if answered < self.seq:
            # A turn that began before may have answered this message too: steered into it, or merged with its own.
            if self.seq in headers.get("consumed", ()):
                self.headers = headers
                self._end(trimmed=False)
            return
        if kind == "turn-complete":
            self.headers = headers
            self._end(trimmed=self._jumped and not self.started)
        elif answered > self.seq and self._jumped and not self.started:
            self._end(trimmed=True)
        else:
            self.started = True

    def _end(self, *, trimmed: bool) -> None:
        self.done, self.trimmed = True, trimmed
