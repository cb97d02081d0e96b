"""What the guide's code runs on: a real engine, and a model provider in the place of OpenAI."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chatagent.llm import close_clients, load_litellm
from tests.guide.page import Talk, talking
from tests.provider import LITELLM_WARNINGS, FakeProvider
from tests.runtime.fleet import fleet

#: `talk(test, agent, *serve)` runs the coroutine function `test` with a `Talk`.
Talking = Callable[..., None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith("tests/guide/"):
            item.add_marker(pytest.mark.filterwarnings(*LITELLM_WARNINGS))


@pytest.fixture(scope="package")
def model_loop() -> Iterator[asyncio.Runner]:
    """One event loop: litellm keeps its clients per loop."""
    load_litellm()
    with asyncio.Runner() as runner:
        yield runner
        runner.run(close_clients())


@pytest.fixture(scope="package")
def fake_provider() -> Iterator[FakeProvider]:
    """A provider that listens."""
    with FakeProvider() as provider:
        yield provider


@pytest.fixture
def openai(fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> FakeProvider:
    """What answers for `openai/…`: by script, else as the user's text says (see tests/provider.py)."""
    fake_provider.reset()
    monkeypatch.setenv("OPENAI_BASE_URL", fake_provider.url)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    return fake_provider


@pytest.fixture
def talk(redis_url: str, model_loop: asyncio.Runner, openai: FakeProvider) -> Talking:
    """Runs an async test with a chat: `talk(test, agent)`."""

    def run(test: Callable[[Talk], Any], agent: Any, *serve: Any) -> None:
        fleet(redis_url, lambda world: talking(world, test, agent, *serve), runner=model_loop)

    return run
