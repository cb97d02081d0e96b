"""One gateway and one worker for all pages of the guide, and an app's own server in front of them."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest
from playwright.sync_api import expect

from tests.conftest import missing
from tests.e2e.agents import PROVIDER_VARIABLE
from tests.e2e.server import Server
from tests.frontend.guide import FOLDER, PAGES, App, write_app
from tests.node import InstallError, Node
from tests.provider import FakeProvider
from tests.redis_server import discard, new_redis
from tests.stack import SECRET, Process, Stack, free_port, wait_until

#: Milliseconds for the page to show what is expected, however busy the machine is.
SHOWN_MS = 30_000


@pytest.fixture(scope="package")
def packages(node: Node) -> Node:
    """A Node with what the snippets import."""
    try:
        node.install(FOLDER)
    except InstallError as error:
        missing(f"packages of the guide ({error})")
    return node


@pytest.fixture(scope="package")
def site_port() -> int:
    """Where the app's own server listens."""
    return free_port()


@pytest.fixture(scope="package")
def server(redis_binary: str, site_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A gateway that takes the app's pages, with a worker."""
    redis = new_redis(redis_binary)
    with FakeProvider() as provider:
        env = {
            PROVIDER_VARIABLE: provider.url,
            "CHATAGENT_WARM_UP": "1",
            "CHATAGENT_ALLOWED_ORIGINS": f"http://127.0.0.1:{site_port}",
        }
        stack = Stack(redis, tmp_path_factory.mktemp("frontend"), env)
        try:
            with stack.worker(FOLDER / "agents.py"), stack.gateway() as gateway:
                gateway.wait_healthy()
                server = Server(gateway.url)
                yield server
                server.close()
        finally:
            discard(redis)


@pytest.fixture(scope="package")
def apps(packages: Node, server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, App]:
    """The guide's files, bundled for every generation."""
    folder = tmp_path_factory.mktemp("apps")
    apps = {generation: write_app(folder / generation, generation) for generation in PAGES}
    for app in apps.values():
        app.build(packages, server.url)
    return apps


@pytest.fixture(scope="package")
def site(
    packages: Node, apps: dict[str, App], server: Server, site_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of the app's own server, which serves the pages and runs the server actions."""
    expect.set_options(timeout=SHOWN_MS)
    folder = tmp_path_factory.mktemp("site")
    for app in apps.values():
        for file in (*app.folder.glob("entry-*.js"), *app.folder.glob("actions-*.mjs")):
            (folder / file.name.removeprefix("entry-")).write_bytes(file.read_bytes())
    given = json.dumps({"folder": str(folder), "port": site_port})
    env = {"CHATAGENT_URL": server.url, "CHATAGENT_SECRET_KEY": SECRET}
    process = Process([packages.binary, str(FOLDER / "serve.mjs"), given], env=env, cwd=FOLDER, output=folder / "log")
    try:
        wait_until(lambda: _listens(site_port), "the app's server listens")
        yield f"http://127.0.0.1:{site_port}"
    finally:
        process.close()


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
