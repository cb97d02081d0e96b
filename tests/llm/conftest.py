"""A provider, and one event loop for the whole package: litellm is loaded once and keeps its clients per loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from chatagent.llm import load_litellm
from tests.provider import FakeProvider

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]


@pytest.fixture(scope="package")
def runner() -> Iterator[asyncio.Runner]:
    """An event loop."""
    with asyncio.Runner() as runner:
        yield runner
        runner.run(load_litellm().close_litellm_async_clients())


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
