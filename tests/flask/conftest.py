"""A gateway for all tests of this folder, and a worker for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker
from tests.redis_server import RedisServer

NewGateway = Callable[..., GatewayProcess]


@pytest.fixture(scope="session")
def shared_gateway(redis_server: RedisServer) -> Iterator[GatewayProcess]:
    """One process with default options."""
    gateway = GatewayProcess(redis_server.url).wait_ready()
    yield gateway
    gateway.stop()


@pytest.fixture
def gateway(shared_gateway: GatewayProcess, redis_url: str) -> GatewayProcess:
    """A gateway with an empty Redis."""
    return shared_gateway


@pytest.fixture(scope="session")
def kept_gateways(redis_server: RedisServer) -> Iterator[dict[str, GatewayProcess]]:
    """What `gateway_with` has started."""
    kept: dict[str, GatewayProcess] = {}
    yield kept
    for gateway in kept.values():
        gateway.stop()


@pytest.fixture
def gateway_with(kept_gateways: dict[str, GatewayProcess], redis_url: str) -> NewGateway:
    """Gives a gateway with these options and an empty Redis; tests that ask for the same share it."""

    def give(**options: Any) -> GatewayProcess:
        name = repr(sorted(options.items()))
        if name not in kept_gateways:
            kept_gateways[name] = GatewayProcess(redis_url, **options).wait_ready()
        return kept_gateways[name]

    return give


@pytest.fixture
def new_gateway(redis_url: str) -> Iterator[NewGateway]:
    """Makes gateways of this test alone, which it may kill."""
    made: list[GatewayProcess] = []

    def make(**options: Any) -> GatewayProcess:
        made.append(GatewayProcess(options.pop("redis_url", redis_url), **options).wait_ready())
        return made[-1]

    yield make
    for gateway in made:
        gateway.stop()


@pytest.fixture
def worker(redis_url: str) -> Iterator[ScriptedWorker]:
    """A worker that does as it is told; it serves the agents `echo` and `other`."""
    worker = ScriptedWorker(redis_url)
    worker.announce("echo", "other")
    yield worker
    worker.close()
