"""All that one gateway process needs of Redis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis

from chatagent.redis.connection import COMMAND_TIMEOUT_S, connect
from chatagent.redis.directory import Directory
from chatagent.redis.history import History
from chatagent.redis.inbox import Durability, Inbox
from chatagent.redis.keys import DEFAULT_PREFIX, Keys
from chatagent.redis.outbox import Outbox
from chatagent.redis.session import Sessions
from chatagent.redis.subscriber import Subscriber

#: Connections to Redis that one gateway process opens at most; more commands at once wait for one.
MAX_CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class Backend:
    """The gateway's side of a deployment's Redis. Making one connects to nothing."""

    client: redis.Redis
    keys: Keys
    sessions: Sessions
    inbox: Inbox
    outbox: Outbox
    history: History
    directory: Directory
    subscriber: Subscriber

    @classmethod
    def connect(cls, url: str, *, prefix: str = DEFAULT_PREFIX, durability: Durability = "memory") -> Backend:
        """The Redis at `url` (redis://, rediss:// or unix://), with keys that start with `prefix`."""
        client, keys = _blocking(connect(url)), Keys(prefix)
        return cls(
            client=client,
            keys=keys,
            sessions=Sessions(client, keys),
            inbox=Inbox(client, keys, durability=durability),
            outbox=Outbox(client, keys),
            history=History(client, keys),
            directory=Directory(client, keys),
            subscriber=Subscriber(url),
        )

    def close(self) -> None:
        """Drop all connections."""
        self.subscriber.close()
        self.client.close()


def _blocking(client: redis.Redis) -> redis.Redis:
    """The same client with a pool that waits for a free connection where the plain one fails."""
    pool: Any = client.connection_pool
    options: dict[str, Any] = {"max_connections": MAX_CONNECTIONS, "timeout": COMMAND_TIMEOUT_S}
    make: Any = redis.BlockingConnectionPool
    return redis.Redis(
        connection_pool=make(connection_class=pool.connection_class, **{**pool.connection_kwargs, **options})
    )
