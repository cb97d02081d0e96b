"""Where a deployment keeps its chats: one value for gateways and workers."""

from __future__ import annotations

from dataclasses import dataclass

from chatagent.redis.gateway import GatewayRedis
from chatagent.redis.inbox import Durability
from chatagent.redis.keys import DEFAULT_PREFIX, Keys
from chatagent.redis.store import LeaseOptions
from chatagent.redis.worker import WorkerRedis


@dataclass(frozen=True, slots=True)
class RedisBackend:
    """The Redis at `url` (redis://, rediss:// or unix://), with keys that start with `prefix`.

    Making one connects to nothing; each process opens its own side of it.
    """

    url: str
    prefix: str = DEFAULT_PREFIX
    #: Seconds a silent worker keeps its session.
    lease_s: float = 15.0
    #: Seconds a task may take to come before it is sent again.
    claim_grace_s: float = 5.0
    #: What an accepted message means.
    durability: Durability = "memory"

    def open_worker(self, owner: str, queue: str) -> WorkerRedis:
        """The worker's side, for a process that calls itself `owner` and alone consumes `queue`; on its loop."""
        options = LeaseOptions(owner, queue, self.lease_s, self.claim_grace_s)
        return WorkerRedis(self.url, Keys(self.prefix), options)

    def open_gateway(self) -> GatewayRedis:
        """The gateway's side, for one process. Connects on first use."""
        return GatewayRedis.connect(self.url, prefix=self.prefix, durability=self.durability)
