"""One gateway and one worker for all scenarios, and the Node packages of the clients."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from tests.conftest import missing
from tests.e2e.server import Server
from tests.node import InstallError, Node
from tests.provider import FakeProvider
from tests.redis_server import discard, new_redis
from tests.stack import SECRET, Stack, wait_until

FOLDER = Path(__file__).parent
#: Releases of the client, newest first.
RELEASES = ("4.8.3", "4.5.16")


class Run(Protocol):
    """Runs a scenario with an agent; gives the chat's id and what the client saw."""

    def __call__(self, scenario: str, task: str = "parrot", **further: Any) -> tuple[str, Any]: ...


@pytest.fixture(scope="package")
def server(redis_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A gateway with a worker that serves the parrot."""
    redis = new_redis(redis_binary)
    stack = Stack(redis, tmp_path_factory.mktemp("trigger"))
    try:
        with FakeProvider() as provider:
            stack.env |= {"PROVIDER_URL": provider.url, "CHATAGENT_WARM_UP": "1"}
            yield from serve(stack)
    finally:
        discard(redis)


def serve(stack: Stack) -> Iterator[Server]:
    """A gateway and a worker, and how a server calls them."""
    with stack.worker(FOLDER / "agents.py"), stack.gateway() as gateway:
        gateway.wait_healthy()
        server = Server(gateway.url)
        warm_up(server)
        yield server
        server.close()


def warm_up(server: Server) -> None:
    """Have the worker load what it calls models with: that takes seconds, which no scenario should wait."""
    chat_id = server.start("helper").chat_id
    message = {"id": "u1", "role": "user", "parts": [{"type": "text", "text": "hello"}]}
    record = {"kind": "message", "payload": {"trigger": "submit-message", "message": message}}
    url = f"{server.url}/realtime/v1/sessions/{chat_id}/in/append"
    answer = httpx.post(url, json=record, headers={"Authorization": f"Bearer {SECRET}"}, timeout=30, trust_env=False)
    assert answer.status_code == 200, answer.text
    wait_until(lambda: server.read(chat_id)["turn"] == 1, "the first answer", timeout_s=180)


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
    return runner(clients, server, tmp_path, request.param)


def runner(clients: Node, server: Server, folder: Path, release: str) -> Run:
    """How scenarios are run with one release; files of theirs are in `folder`."""

    def run_scenario(scenario: str, task: str = "parrot", **further: Any) -> tuple[str, Any]:
        chat_id = f"{scenario}/{secrets.token_hex(3)}"
        given = {"sdk": release, "scenario": scenario, "task": task, "chatId": chat_id, **further}
        given |= {"url": server.url, "secret": SECRET, "gate": str(folder / "gate")}
        told = clients.run(FOLDER / "driver.mjs", json.dumps(given), timeout_s=120)
        return chat_id, json.loads(told)

    return run_scenario
