"""For tests with a model: litellm keeps its clients per event loop, so the package shares one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from chatagent.llm import load_litellm
from tests.provider import FakeProvider


@pytest.fixture(scope="package")
def model_loop() -> Iterator[asyncio.Runner]:
    """An event loop."""
    load_litellm()
    with asyncio.Runner() as runner:
        yield runner
        runner.run(load_litellm().close_litellm_async_clients())


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A model provider that listens."""
    with FakeProvider() as provider:
        yield provider
