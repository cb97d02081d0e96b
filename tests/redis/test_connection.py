from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
import redis

from chatagent.redis.connection import connect, connect_async
from tests.runtime.world import until

NAME = "closed"


def named(url: str) -> str:
    """The URL of connections that the server knows by name."""
    return f"{url}&client_name={NAME}" if "?" in url else f"{url}?client_name={NAME}"


def open_connections(url: str, command: str | None = None) -> int:
    """How many of them the server has; those that were last heard to say `command`, if one is given."""
    with connect(url) as client:
        ours = [each for each in client.client_list() if each["name"] == NAME]
        return sum(command in (None, each["cmd"]) for each in ours)


def test_a_client_that_was_closed_stays_closed(redis_url: str) -> None:
    async def test() -> None:
        client = connect_async(named(redis_url))
        await client.ping()
        await client.aclose()
        with pytest.raises(redis.ConnectionError, match="closed"):
            await client.ping()

    asyncio.run(test())
    assert open_connections(redis_url) == 0


def test_commands_that_outlive_their_client_leave_no_connection(redis_url: str) -> None:
    async def test() -> None:
        client = connect_async(named(redis_url))

        async def command() -> None:
            with suppress(redis.RedisError):
                await client.blpop(["never"], timeout=0.2)

        commands = [asyncio.create_task(command()) for _ in range(4)]
        await until(lambda: open_connections(redis_url, "blpop") == len(commands))
        await client.aclose()
        await asyncio.gather(*commands)
        await until(lambda: not open_connections(redis_url))

    asyncio.run(test())
    assert open_connections(redis_url) == 0
