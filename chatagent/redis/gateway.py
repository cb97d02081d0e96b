"""All that one gateway process needs of Redis."""

from __future__ import annotations

from dataclasses import dataclass

import redis

from chatagent.redis.channel import Channels
from chatagent.redis.connection import connect
from chatagent.redis.directory import Directory
from chatagent.redis.head_start import HeadStarts
from chatagent.redis.history import History
from chatagent.redis.inbox import Durability, Inbox
from chatagent.redis.keys import DEFAULT_PREFIX, Keys
from chatagent.redis.outbox import Outbox
from chatagent.redis.sessions import Sessions
from chatagent.redis.subscriber import Subscriber


@dataclass(frozen=True, slots=True)
class GatewayRedis:
    """A gateway's connections. Making one connects to nothing."""

    client: redis.Redis
    keys: Keys
    sessions: Sessions
    inbox: Inbox
    outbox: Outbox
    history: History
    head_starts: HeadStarts
    channels: Channels
    directory: Directory
    subscriber: Subscriber

    @classmethod
    def connect(cls, url: str, *, prefix: str = DEFAULT_PREFIX, durability: Durability = "memory") -> GatewayRedis:
        """The Redis at `url` (redis://, rediss:// or unix://), with keys that start with `prefix`."""
        client, keys = connect(url), Keys(prefix)
        return cls(
            client=client,
            keys=keys,
            sessions=Sessions(client, keys),
            inbox=Inbox(client, keys, durability=durability),
            outbox=Outbox(client, keys),
            history=History(client, keys),
            head_starts=HeadStarts(client, keys),
            channels=Channels(client, keys),
            directory=Directory(client, keys),
            subscriber=Subscriber(url),
        )

    def close(self) -> None:
        """Drop all connections."""
        self.subscriber.close()
        self.client.close()
