"""Fixtures that every test may use. A missing tool skips at home and fails on CI."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import settings
from playwright.sync_api import Browser, Page, sync_playwright
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.browser import ARGUMENTS, find_chromium
from tests.node import Node, find_node
from tests.redis_server import RedisServer, discard, find_redis, new_redis
from tests.stack import Stack

# The same examples in every run, however slow the machine; `--hypothesis-profile=default` looks for new ones.
settings.load_profile("ci")

#: Folders whose tests share a fleet. Where tests run in several processes, one of them gets all of a folder.
TOGETHER = tuple(f"tests/{name}/" for name in ("chaos", "e2e", "frontend", "trigger"))


class Scheduler(LoadScopeScheduling):  # type: ignore[misc]  # its package has no types
    """Hands out whole files, so that what their tests share is made once."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((folder for folder in TOGETHER if file.startswith(folder)), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduler:
    """Decides who runs what with `-n 2`."""
    return Scheduler(config, log)


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


@pytest.fixture
def stack(redis_server: RedisServer, tmp_path: Path) -> Stack:
    """Starts workers and gateways on the session's emptied Redis: `with stack.worker(file), stack.gateway() as web`."""
    redis_server.flush()
    return Stack(redis_server, tmp_path)


@pytest.fixture
def own_stack(own_redis: RedisServer, tmp_path: Path) -> Stack:
    """The same on a Redis of this test alone (`stack.redis`), for tests that stop or kill it."""
    return Stack(own_redis, tmp_path)


@pytest.fixture(scope="session")
def node() -> Node:
    """Node and npm; `node.install(folder)` runs `npm ci` there once."""
    return find_node() or missing("node >= 20.19 with npm")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A headless browser. For one file: while it is there its event loop runs in our thread, and no other can."""
    binary = find_chromium() or missing("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, headless=True, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A fresh page with its own cookies and storage."""
    context = chromium.new_context()
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()
