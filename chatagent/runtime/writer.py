"""How chunks reach the log: each turn queues its own, one flusher per process writes them all.

What arrives while a write is in flight goes into the next one, for all turns in one round trip; adjacent deltas of one
part merge when, and only when, they wait. With few chats nothing waits for a timer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from chatagent.errors import ChatAgentError, ConfigError, LeaseLost
from chatagent.record import raw_record
from chatagent.runtime.patience import patiently
from chatagent.runtime.port import Batch, Claim, Held, Store
from chatagent.ui import encode

Chunk = dict[str, Any]

#: One write takes at most this much of a turn; the rest goes into the next.
MAX_BATCH_BYTES = 256 * 1024
MAX_BATCH_RECORDS = 256
#: A turn that is this far ahead of the log waits in `drain`.
MAX_PENDING_BYTES = 1024 * 1024
#: A turn that is even this far ahead, because its code does not wait or Redis is away, may write no more.
MAX_AHEAD_BYTES = 32 * 1024 * 1024

#: Seconds of CPU that one batch costs on its way through worker, Redis and gateway. With hundreds of chats the next
#: write waits until the last one is paid for, so that deltas merge instead of filling all cores with tiny batches.
_BATCH_S = 120e-6
_SHORTEST_PAUSE_S = 0.005

#: Deltas that merge while they wait, and that are cut where they are too long for one record.
_MERGEABLE = ("text-delta", "reasoning-delta")
#: Bytes of JSON that one character may take (an escape), and bytes of a delta's JSON around its text and id.
_CHARACTER_BYTES, _FRAME_BYTES = 6, 64


class TurnLog:
    """The queue of one turn's chunks on their way to the outbox."""

    def __init__(self, flusher: Flusher, claim: Claim, *, max_chunk_bytes: int) -> None:
        self.claim = claim
        #: Called when the store says that the turn was stopped or a message waits, and when the lease is lost.
        self.on_held: Callable[[Held], None] = lambda held: None
        self.on_lost: Callable[[], None] = lambda: None
        self._flusher = flusher
        self._max_chunk_bytes = max_chunk_bytes
        #: Characters of text and id that surely fit one record.
        self._max_delta = (max_chunk_bytes - _FRAME_BYTES) // _CHARACTER_BYTES
        self._waiting: list[Chunk | bytes] = []
        self._waiting_bytes = 0
        self._flight: Batch | None = None
        self._number = 0
        self._lost = False
        self._held_back = False
        self._ended = False
        self._landed = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def full(self) -> bool:
        """So much waits that an author's code must write no more; how a turn ends is always taken."""
        return self._waiting_bytes > MAX_AHEAD_BYTES

    def write(self, chunk: Chunk) -> None:
        """Queue one chunk; never blocks. Raises: LeaseLost, and as `ready`."""
        self.put(self.ready(chunk))

    def ready(self, chunk: Chunk) -> list[Chunk | bytes]:
        """What `put` takes for a chunk: deltas that may still merge, or a record.

        Raises: BadRequest for what JSON cannot say, ChatAgentError when it is too large.
        """
        if chunk["type"] not in _MERGEABLE or len(chunk) != 3:
            return [self._encode(chunk)]
        text, room = chunk["delta"], self._max_delta - len(chunk["id"])
        if len(text) <= room:
            return [dict(chunk)]
        if room <= 0:
            return [self._encode(chunk)]
        return [{**chunk, "delta": text[at : at + room]} for at in range(0, len(text), room)]

    def put(self, items: Iterable[Chunk | bytes]) -> None:
        """Queue what `ready` gave; never blocks. Raises: LeaseLost."""
        if self._lost:
            raise LeaseLost(self.claim.session_id)
        for item in items:
            if isinstance(item, bytes):
                self._write_record(item)
            else:
                self._write_delta(item)
                self._wake()

    async def send_raw(self, chunk: Mapping[str, Any]) -> None:
        """Queue one chunk that is no part of the message, in its place among the others. Raises: as `write`."""
        if self._lost:
            raise LeaseLost(self.claim.session_id)
        if self._ended:
            raise ConfigError("the turn has ended: write in on_before_turn_complete at the latest")
        self._write_record(raw_record(self._encode(dict(chunk))))
        await self.drain()

    def _write_record(self, record: bytes) -> None:
        self._waiting.append(record)
        self._waiting_bytes += _size(record)
        self._wake()

    def _wake(self) -> None:
        if self._waiting_bytes > MAX_PENDING_BYTES:
            self._room.clear()
        if self._flight is None:
            self._flusher.wake(self)

    async def drain(self) -> None:
        """Wait while the turn is too far ahead of the log."""
        await self._room.wait()

    def rest(self) -> list[bytes]:
        """Take what still waits, for the commit to write; call `settle` first."""
        records = [item if isinstance(item, bytes) else self._encode(item) for item in self._waiting]
        self._waiting.clear()
        self._waiting_bytes = 0
        self._ended = True
        self._room.set()
        return records

    async def settle(self) -> None:
        """Wait until no batch is in flight and start none. Raises: LeaseLost."""
        self._held_back = True
        while self._flight is not None:
            self._landed.clear()
            await self._landed.wait()
        if self._lost:
            raise LeaseLost(self.claim.session_id)

    def take(self) -> Batch | None:
        """The next batch to write; None when nothing waits or one is in flight. For the flusher."""
        if self._flight is not None or not self._waiting or self._lost or self._held_back:
            return None
        records: list[bytes] = []
        size = 0
        for item in self._waiting[:MAX_BATCH_RECORDS]:
            record = item if isinstance(item, bytes) else self._encode(item)
            size += len(record)
            if records and size > MAX_BATCH_BYTES:
                break
            records.append(record)
        taken = self._waiting[: len(records)]
        del self._waiting[: len(records)]
        self._waiting_bytes -= sum(map(_size, taken))
        self._number += 1
        self._flight = Batch(self.claim.session_id, self.claim.epoch, self._number, records)
        return self._flight

    def written(self, answer: Held | LeaseLost) -> None:
        """The store's answer to the batch in flight. For the flusher."""
        self._flight = None
        self._landed.set()
        if isinstance(answer, LeaseLost):
            self.lose()
            return
        if self._waiting:
            self._flusher.wake(self)
        if self._waiting_bytes <= MAX_PENDING_BYTES:
            self._room.set()
        if answer.stopped or answer.unread:
            self.on_held(answer)

    def lose(self) -> None:
        """Another worker has the turn: forget what waits and say so."""
        if not self._lost:
            self._lost = True
            self._waiting.clear()
            self._waiting_bytes = 0
            self._room.set()
            self.on_lost()

    def _write_delta(self, chunk: Chunk) -> None:
        last, size = self._waiting[-1] if self._waiting else None, _size(chunk)
        if (
            isinstance(last, dict)
            and last["type"] == chunk["type"]
            and last["id"] == chunk["id"]
            and len(last["delta"]) + size + len(last["id"]) <= self._max_delta
        ):
            last["delta"] += chunk["delta"]
        else:
            self._waiting.append(chunk)
        self._waiting_bytes += size

    def _encode(self, chunk: Chunk) -> bytes:
        record = encode(chunk)
        if len(record) > self._max_chunk_bytes:
            raise ChatAgentError(
                f"a {chunk['type']} chunk of {len(record)} bytes is over the limit of {self._max_chunk_bytes}; "
                "send a reference to the data, or raise max_chunk_kb"
            )
        return record


def _size(item: Chunk | bytes) -> int:
    """What an item counts for: of a delta the text, which others may join."""
    return len(item) if isinstance(item, bytes) else len(item["delta"])


class Flusher:
    """Writes the batches of all turns of a process, one round trip at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._dirty: dict[TurnLog, None] = {}
        self._wake = asyncio.Event()

    def wake(self, log: TurnLog) -> None:
        """`log` has something to write."""
        self._dirty[log] = None
        self._wake.set()

    async def run(self) -> None:
        """Write for ever; cancel to end."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            logs, self._dirty = list(self._dirty), {}
            taken = [(log, batch) for log in logs if (batch := log.take()) is not None]
            if taken:
                began = time.monotonic()
                answers = await self._append([batch for _, batch in taken])
                for (log, _), answer in zip(taken, answers, strict=True):
                    log.written(answer)
                pause_s = len(taken) * _BATCH_S - (time.monotonic() - began)
                if pause_s > _SHORTEST_PAUSE_S:
                    await asyncio.sleep(pause_s)

    async def _append(self, batches: list[Batch]) -> list[Held | LeaseLost]:
        """Append until there is an answer: a batch that comes twice is written once."""
        return await patiently(lambda: self._store.append(batches), "outbox not written")
