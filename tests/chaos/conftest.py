"""A fleet whose members may be killed: leases are short, and a test begins with as many workers as it asks for."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.e2e.agents import PROVIDER_VARIABLE
from tests.e2e.client import FOLDER, Clients
from tests.e2e.fleet import Fleet, open_fleet, show_processes
from tests.e2e.server import Server
from tests.node import InstallError, Node
from tests.provider import FakeProvider
from tests.redis_server import discard, new_redis
from tests.stack import Gateway, Stack

#: Seconds after which a turn of a dead worker is taken over, and that a worker which is told to end gives its turns.
LEASE_S, GRACE_S = 2, 1
#: Times that a turn is tried.
MAX_ATTEMPTS = 2


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what the processes of its fleet wrote."""
    return show_processes(item, (yield))


@pytest.fixture(scope="package")
def provider() -> Iterator[FakeProvider]:
    """The model provider of all workers here."""
    with FakeProvider() as provider:
        yield provider


@pytest.fixture(scope="package")
def fleet(redis_binary: str, provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A Redis of its own and nobody yet: ask for workers with `staff`."""
    redis = new_redis(redis_binary)
    env = {
        PROVIDER_VARIABLE: provider.url,
        "CHATAGENT_LEASE_S": str(LEASE_S),
        "CHATAGENT_GRACE_S": str(GRACE_S),
        "CHATAGENT_SWEEP_S": "0.3",
        "CHATAGENT_CLAIM_GRACE_S": "1",
        "CHATAGENT_MAX_ATTEMPTS": str(MAX_ATTEMPTS),
        "CHATAGENT_WARM_UP": "0",
    }
    try:
        with open_fleet(Stack(redis, tmp_path_factory.mktemp("fleet"), env)) as fleet:
            yield fleet
    finally:
        discard(redis)


@pytest.fixture(scope="package")
def gateway(fleet: Fleet) -> Gateway:
    """The gateway of all tests here."""
    return fleet.gateway()


@pytest.fixture(scope="package")
def server(fleet: Fleet, gateway: Gateway) -> Iterator[Server]:
    """Calls to the gateway."""
    server = Server(gateway.url)
    yield server
    server.close()


@pytest.fixture(scope="package")
def clients(node: Node, gateway: Gateway) -> Iterator[Clients]:
    """The stock clients."""
    try:
        node.install(FOLDER)
    except InstallError as error:
        missing(f"packages of the clients ({error})")
    clients = Clients(node)
    yield clients
    clients.close()


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A file for which agents can be made to wait; `touch` it to let them go on."""
    return tmp_path / "gate"
