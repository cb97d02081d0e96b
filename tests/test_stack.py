"""The stack that other tests stand on."""

from __future__ import annotations

import redis

from tests.redis_server import RedisServer


def test_a_test_gets_an_empty_redis(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left", "over")


def test_the_next_test_gets_an_empty_redis_again(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.get("left") is None


def test_data_survives_a_stop_and_a_start(own_redis: RedisServer) -> None:
    with own_redis.client() as client:
        client.set("kept", "yes")
    own_redis.stop()
    own_redis.start()
    with own_redis.client() as client:
        assert client.get("kept") == b"yes"


def test_a_killed_server_starts_again(own_redis: RedisServer) -> None:
    first = own_redis.pid
    own_redis.kill()
    assert own_redis.pid is None
    own_redis.start()
    assert own_redis.pid not in (None, first)
