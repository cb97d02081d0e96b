"""What the parts of a worker's store share: the connection, the names, and who they act for."""

from __future__ import annotations

from dataclasses import dataclass

import redis.asyncio

from chatagent.redis.keys import Keys


@dataclass(frozen=True, slots=True)
class LeaseOptions:
    """How this worker holds sessions."""

    #: Unique per process: an owner that restarts is another owner.
    owner: str
    #: Queue that only this worker consumes; a warm session's next message goes there.
    queue: str
    #: Seconds a silent worker keeps its session.
    lease_s: float = 15.0
    #: Seconds a task may take to come before it is sent again.
    claim_grace_s: float = 5.0

    @property
    def lease_ms(self) -> int:
        return int(self.lease_s * 1000)

    @property
    def grace_ms(self) -> int:
        return int(self.claim_grace_s * 1000)


class StorePart:
    """A part of a worker's store."""

    def __init__(self, client: redis.asyncio.Redis, keys: Keys, options: LeaseOptions) -> None:
        self.client = client
        self.keys = keys
        self.options = options
