"""The state: sessions, their two logs, history and lease, in Redis."""

from chatagent.redis.backend import RedisBackend
from chatagent.redis.keys import Keys

__all__ = ["Keys", "RedisBackend"]
