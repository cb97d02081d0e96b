"""Connections to Redis, with time limits set: redis-py's defaults hang or replay blocking reads for a minute.

Retrying is safe because every script is idempotent: a repeated part id, batch number, claim id or epoch changes
nothing.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

import redis
import redis.asyncio
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

#: Seconds for a connection to be made and for one command to be answered.
CONNECT_TIMEOUT_S = 3.0
COMMAND_TIMEOUT_S = 5.0
#: Short first retry, then a few longer: a restarted Redis is back within a second.
_RETRIES = 4
_BACKOFF = ExponentialBackoff(cap=0.5, base=0.02)


def connect(url: str, *, max_connections: int = 64) -> redis.Redis:
    """A synchronous client for the gateway; connects on first use. Replies are bytes.

    More commands at once than connections wait for one.
    """
    pool = redis.BlockingConnectionPool.from_url(
        url, **_options(max_connections), timeout=COMMAND_TIMEOUT_S, retry=Retry(_BACKOFF, _RETRIES)
    )
    return redis.Redis.from_pool(pool)


def connect_subscriber(url: str) -> redis.Redis:
    """A synchronous client for one subscriber: waits for ever on its socket, and says itself when it broke."""
    options = _options(4) | {"socket_timeout": None, "health_check_interval": 0}
    return redis.Redis.from_pool(redis.ConnectionPool.from_url(url, **options, retry=Retry(_BACKOFF, 0)))


def connect_async(url: str, *, max_connections: int = 64, blocking: bool = False) -> redis.asyncio.Redis:
    """An asyncio client for the worker; connects on first use. Replies are bytes. `blocking` reads wait for ever."""
    options = _options(max_connections) | ({"socket_timeout": None, "health_check_interval": 0} if blocking else {})
    pool = _Pool.from_url(url, **options, timeout=COMMAND_TIMEOUT_S, retry=AsyncRetry(_BACKOFF, _RETRIES))
    return redis.asyncio.Redis.from_pool(pool)


class _Pool(redis.asyncio.BlockingConnectionPool):
    """Stays closed. redis-py's connects anew for a command that outlives it, and nobody closes that connection."""

    _ended = False

    async def get_connection(self, *_: object, **__: object) -> Any:
        if self._ended:
            raise redis.ConnectionError("the client is closed")
        return await super().get_connection()  # type: ignore[no-untyped-call]

    async def release(self, connection: AbstractConnection) -> None:
        if self._ended:
            await connection.disconnect(nowait=True)
        await super().release(connection)

    async def aclose(self) -> None:
        self._ended = True
        await super().aclose()


def broker_url(url: str) -> str:
    """The same server as a Celery broker: `unix:///path?db=1` becomes `redis+socket:///path?virtual_host=1`."""
    parts = urlsplit(url)
    if parts.scheme != "unix":
        return url
    query = dict(pair.split("=", 1) for pair in parts.query.split("&") if "=" in pair)
    return f"redis+socket://{parts.path}?{urlencode({'virtual_host': query.get('db', '0')})}"


def _options(max_connections: int) -> dict[str, Any]:
    return {
        "max_connections": max_connections,
        "socket_timeout": COMMAND_TIMEOUT_S,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "health_check_interval": 30,
        "protocol": 2,
        "decode_responses": False,
    }
