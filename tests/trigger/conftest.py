"""One gateway and one worker for all scenarios, and the Node packages of the clients."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import missing
from tests.e2e.server import Server
from tests.node import InstallError, Node
from tests.redis_server import discard, new_redis
from tests.stack import SECRET, Stack

FOLDER = Path(__file__).parent
#: Releases of the client, newest first.
RELEASES = ("4.8.3", "4.5.16")

#: Runs a scenario of `driver.mjs`; gives the chat's id and what the client saw.
Run = Callable[[str], tuple[str, Any]]


@pytest.fixture(scope="package")
def server(redis_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A gateway with a worker that serves the parrot."""
    redis = new_redis(redis_binary)
    stack = Stack(redis, tmp_path_factory.mktemp("trigger"))
    try:
        with stack.worker(FOLDER / "agents.py"), stack.gateway() as gateway:
            gateway.wait_healthy()
            server = Server(gateway.url)
            yield server
            server.close()
    finally:
        discard(redis)


@pytest.fixture(scope="package")
def clients(node: Node) -> Node:
    """A Node with the clients' packages."""
    try:
        node.install(FOLDER)
    except InstallError as error:
        missing(f"packages of the clients ({error})")
    return node


@pytest.fixture(params=RELEASES)
def run(request: pytest.FixtureRequest, clients: Node, server: Server, tmp_path: Path) -> Run:
    """Runs scenarios with one release of the client."""

    def run_scenario(scenario: str) -> tuple[str, Any]:
        chat_id = f"{scenario}/{secrets.token_hex(3)}"
        given = {"sdk": request.param, "scenario": scenario, "url": server.url, "secret": SECRET, "chatId": chat_id}
        told = clients.run(FOLDER / "driver.mjs", json.dumps({**given, "gate": str(tmp_path / "gate")}), timeout_s=60)
        return chat_id, json.loads(told)

    return run_scenario
