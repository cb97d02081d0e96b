"""Doorbells: pub/sub messages that hint at new records. They carry the records; the log stays the truth.

Payload of an outbox bell: `<first seq> <count>`, then one line per record unless the batch was too large to carry.
Payload of a worker bell: `<kind> <session id> <seq>`.
Payload of a queue's bell (unread messages came, changed or went): `-1 0`, on the outbox's channel.
Payload of a feed's bell (a chat of a listing changed): an outbox bell whose one record is the session id.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

import redis.asyncio

from chatagent.record import Bell
from chatagent.redis.error import DROPPED
from chatagent.redis.keys import Keys
from chatagent.redis.script import Command

logger = logging.getLogger(__name__)

#: A bell carries at most this many bytes of records; beyond it readers fetch them from the log.
MAX_BELL_BYTES = 256 * 1024
#: Seconds before a dropped connection is made again.
_RECONNECT_S = 0.2


def parse_bell(payload: bytes) -> Bell:
    """Read an outbox bell."""
    head, *records = payload.split(b"\n")
    first, count = head.split(b" ")
    return Bell(int(first), int(count), records)


def parse_worker_bell(payload: bytes) -> tuple[str, str, int]:
    """Read a worker bell: kind, session id, seq."""
    kind, session_id, seq = payload.decode().split(" ")
    return kind, session_id, int(seq)


def tell_queue(keys: Keys, session_id: str) -> Command:
    """The command that says that the unread messages of a session changed."""
    return ("PUBLISH", keys.out_channel(session_id), "-1 0")


def tell_feeds(keys: Keys, session_id: str, labels: Iterable[Sequence[str]]) -> list[Command]:
    """The commands that say that a chat of these listings changed; sent with what changed it, and behind it."""
    return [("PUBLISH", keys.feed_channel(*label), f"0 1\n{session_id}") for label in labels]


async def listen(client: redis.asyncio.Redis, channel: str, ring: Callable[[bytes], None]) -> None:
    """Call `ring` for every message on `channel`, for ever; connects again when the connection drops.

    What rings while there is no connection is lost, as with any doorbell.
    """
    while True:
        try:
            async with client.pubsub(ignore_subscribe_messages=True) as pubsub:
                await pubsub.subscribe(channel)
                async for message in pubsub.listen():
                    ring(message["data"])
        except DROPPED:
            logger.warning("doorbell lost its connection; connecting again")
        await asyncio.sleep(_RECONNECT_S)
