"""A provider, and one event loop for the whole package: litellm is loaded once and keeps its clients per loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from chatagent.llm import close_clients, load_litellm
from tests.llm.model import Model
from tests.provider import LITELLM_WARNINGS, FakeProvider


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith("tests/llm/"):
            item.add_marker(pytest.mark.filterwarnings(*LITELLM_WARNINGS))


@pytest.fixture(scope="package")
def runner() -> Iterator[asyncio.Runner]:
    """An event loop."""
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
def provider(fake_provider: FakeProvider) -> FakeProvider:
    """A provider that knows of no earlier test."""
    fake_provider.reset()
    return fake_provider


@pytest.fixture
def model(runner: asyncio.Runner, provider: FakeProvider) -> Model:
    """A model at that provider, to be asked."""
    return Model(runner, provider)
