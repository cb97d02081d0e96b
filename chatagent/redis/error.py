"""What redis-py raises when there is no answer, as our own error: translated once, at the edge."""

from __future__ import annotations

from types import TracebackType

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from chatagent.errors import StoreDown

#: A connection is gone, cannot be made, or is silent for too long.
DROPPED = (RedisConnectionError, RedisTimeoutError, OSError)


class _StoreErrors:
    """For `with` in the gateway and `async with` in the worker."""

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, DROPPED):
            raise StoreDown("Redis does not answer; try again in a moment") from error

    async def __aenter__(self) -> None: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)


def store_errors() -> _StoreErrors:
    """What happens inside raises StoreDown when Redis does not answer."""
    return _StoreErrors()
