"""The records of one chat as they come: doorbells and the log behind one `take`, and one answer picked out of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator

from chatagent.errors import NotFound, StoreDown
from chatagent.record import Bell
from chatagent.redis.gateway import GatewayRedis
from chatagent.relay import Answer, Batch, Tail

#: Bytes of records that are taken from one feed at once, so that others have their turn.
SLICE_BYTES = 64 * 1024
#: Seconds until the log is tried again when Redis does not answer.
RETRY_S = 0.25
#: All of an answer that is in the log: a turn is bounded by what its agent may write.
_WHOLE = 1 << 30


class Feed:
    """Follows the outbox of one session. It listens from the moment it is made; `place` says where it starts.

    `wake` is set whenever `take` may have something new. Raises: StoreDown when Redis does not answer.
    """

    def __init__(self, backend: GatewayRedis, session_id: str, wake: threading.Event) -> None:
        self.session_id = session_id
        self._backend = backend
        self._wake = wake
        self._tail = Tail()
        self._lock = threading.Lock()
        #: The connection to Redis broke: it may have been restarted, and have lost what it wrote last.
        self._doubt = False
        self._queue_rung = True
        self._leave = backend.subscriber.subscribe(backend.keys.out_channel(session_id), self)

    def ring(self, bell: Bell) -> None:
        """A doorbell rang (called by the subscriber)."""
        with self._lock:
            if bell.count:
                self._tail.ring(bell)
            else:
                self._queue_rung = True
        self._wake.set()

    def lost(self) -> None:
        """Doorbells may have been missed (called by the subscriber)."""
        with self._lock:
            self._tail.lost()
            self._doubt = self._queue_rung = True
        self._wake.set()

    def queue_rung(self) -> bool:
        """Whether the unread messages may have changed since this was asked last; True at first."""
        with self._lock:
            rung, self._queue_rung = self._queue_rung, False
        return rung

    def place(self, after: int, *, caught_up: bool) -> None:
        """Start after seq `after`; `caught_up` when all later records were written after this feed was made."""
        with self._lock:
            self._tail.place(after, caught_up=caught_up)
        self._wake.set()

    def take(self, *, max_bytes: int, max_records: int | None = None) -> Batch | None:
        """The next records, read from the log where the doorbells do not suffice; None when there are none now.

        Never waits for records. Raises: StoreDown; the next call tries again. NotFound when the log was lost.
        """
        with self._lock:
            if not self._tail.must_read:
                return self._tail.take(max_bytes=max_bytes, max_records=max_records)
            read, doubt, self._doubt = self._tail.read(), self._doubt, False
        try:
            records = self._backend.outbox.read(self.session_id, read.after, limit=read.limit)
            if doubt and not records:
                self._require_log(read.after)
        except StoreDown:
            self._doubt = doubt
            raise
        with self._lock:
            self._tail.page(read, records)
            if self._tail.must_read:
                self._wake.set()
            return self._tail.take(max_bytes=max_bytes, max_records=max_records)

    def _require_log(self, after: int) -> None:
        """Raises: NotFound when Redis forgot records that we have read: the numbers now mean others."""
        end = self._backend.outbox.end(self.session_id)
        if end is None or end < after:
            raise NotFound("Redis lost the end of this chat; reload it")

    def close(self) -> None:
        """Listen no more."""
        self._leave()


class AnswerFeed:
    """The chunks of one answer, from a feed. `prefix` comes first: what the message held before this turn."""

    def __init__(self, feed: Feed, answer: Answer, prefix: Iterable[bytes] = ()) -> None:
        self.feed = feed
        self.answer = answer
        self._prefix = deque(prefix)

    @property
    def done(self) -> bool:
        """The turn has ended and every chunk was taken."""
        return self.answer.done and not self._prefix

    def take(self, *, max_bytes: int, max_records: int | None = None) -> list[bytes]:
        """The next chunks; empty when there are none now. Raises: StoreDown."""
        if self._prefix:
            count = len(self._prefix) if max_records is None else min(max_records, len(self._prefix))
            return [self._prefix.popleft() for _ in range(count)]
        while not self.answer.done:
            batch = self.feed.take(max_bytes=max_bytes, max_records=max_records)
            if batch is None:
                break
            chunks = self.answer.pick(batch)
            if chunks:
                return chunks
        return []

    def told_so_far(self) -> list[bytes]:
        """All chunks up to now; give them back by `tell_first` to have them taken as usual. Raises: StoreDown."""
        told: list[bytes] = []
        while chunks := self.take(max_bytes=_WHOLE):
            told += chunks
        return told

    def tell_first(self, chunks: Iterable[bytes]) -> None:
        """Have these chunks taken before all others."""
        self._prefix.extendleft(reversed(list(chunks)))

    def close(self) -> None:
        """Listen no more."""
        self.feed.close()


def follow(feed: AnswerFeed, wake: threading.Event, keepalive_s: float) -> Iterator[list[bytes]]:
    """The chunks of an answer as they come, and an empty list whenever all was quiet for long. Closes the feed.

    Raises: NotFound when the log was lost.
    """
    try:
        while not feed.done:
            wake.clear()
            try:
                chunks, timeout_s = feed.take(max_bytes=SLICE_BYTES), keepalive_s
            except StoreDown:
                chunks, timeout_s = [], RETRY_S
            if chunks:
                yield chunks
            elif not feed.done and not wake.wait(timeout_s) and timeout_s == keepalive_s:
                yield []
    finally:
        feed.close()
