"""One fleet (two workers, two gateways), one provider and one Node process for all end-to-end tests."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.e2e.agents import PROVIDER_VARIABLE
from tests.e2e.client import CLIENTS, FOLDER, Client, Clients
from tests.e2e.fleet import Fleet, open_fleet, show_processes
from tests.e2e.server import Server
from tests.node import InstallError, Node
from tests.provider import FakeProvider
from tests.redis_server import discard, new_redis
from tests.stack import Gateway, Stack


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what the processes of its fleet wrote."""
    return show_processes(item, (yield))


@pytest.fixture(scope="package")
def clients(node: Node, gateways: list[Gateway]) -> Iterator[Clients]:
    """The stock clients; they hang up before the gateways end, which would wait for their connections."""
    try:
        node.install(FOLDER)
    except InstallError as error:
        missing(f"packages of the clients ({error})")
    clients = Clients(node)
    yield clients
    clients.close()


@pytest.fixture(scope="package")
def provider() -> Iterator[FakeProvider]:
    """The model provider of all workers here."""
    with FakeProvider() as provider:
        yield provider


@pytest.fixture(scope="package")
def fleet(redis_binary: str, provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two workers on a Redis of their own."""
    redis = new_redis(redis_binary)
    env = {
        PROVIDER_VARIABLE: provider.url,
        "CHATAGENT_WARM_UP": "1",
        "CHATAGENT_SWEEP_S": "0.5",
        "CHATAGENT_CLAIM_GRACE_S": "1",
    }
    stack = Stack(redis, tmp_path_factory.mktemp("fleet"), env)
    try:
        with open_fleet(stack) as fleet:
            fleet.staff(2)
            yield fleet
    finally:
        discard(redis)


@pytest.fixture(scope="package")
def gateways(fleet: Fleet) -> list[Gateway]:
    """Two gateways of the fleet."""
    return [fleet.gateway(), fleet.gateway()]


@pytest.fixture(scope="package")
def server(gateways: list[Gateway]) -> Iterator[Server]:
    """Calls to the first gateway."""
    server = Server(gateways[0].url)
    yield server
    server.close()


@pytest.fixture(scope="package")
def other_server(gateways: list[Gateway]) -> Iterator[Server]:
    """Calls to the second gateway."""
    server = Server(gateways[1].url)
    yield server
    server.close()


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> Client:
    """Every stock client in turn."""
    found: Client = request.param
    return found


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A file for which agents can be made to wait; `touch` it to let them go on."""
    return tmp_path / "gate"
