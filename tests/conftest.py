"""Fixtures that every test may use. A missing tool skips at home and fails on CI."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NoReturn

import pytest

from tests.redis_server import RedisServer, discard, find_redis, new_redis


def missing(tool: str) -> NoReturn:
    """Skip the test that needs `tool`; on CI (`CI=true`) fail it."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"{tool} is missing on CI")
    pytest.skip(f"{tool} is missing here")


@pytest.fixture(scope="session")
def redis_binary() -> str:
    """Path of a Redis or Valkey server."""
    return find_redis() or missing("redis-server")


@pytest.fixture(scope="session")
def redis_server(redis_binary: str) -> Iterator[RedisServer]:
    """A Redis for the whole session; a test that stops it need not start it again."""
    server = new_redis(redis_binary)
    yield server
    discard(server)


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of a running, empty Redis."""
    redis_server.flush()
    return redis_server.url


@pytest.fixture
def own_redis(redis_binary: str) -> Iterator[RedisServer]:
    """A Redis of this test alone, for tests that stop, kill or fill it."""
    server = new_redis(redis_binary)
    yield server
    discard(server)
