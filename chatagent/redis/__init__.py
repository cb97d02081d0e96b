"""The state: sessions, their two logs, history and lease, in Redis."""

from chatagent.redis.keys import Keys
from chatagent.redis.worker import RedisBackend

__all__ = ["Keys", "RedisBackend"]
