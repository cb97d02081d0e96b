"""The state: sessions, their two logs, history and lease, in Redis."""

from chatagent.redis.backend import RedisBackend
from chatagent.redis.keys import Keys
from chatagent.redis.task import Tasks

__all__ = ["Keys", "RedisBackend", "Tasks"]
