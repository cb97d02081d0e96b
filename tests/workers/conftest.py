"""The example agents, in engines on a real Redis, with the demo model at full speed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chatagent.agent import Agent
from chatagent.llm import load_litellm
from tests.conftest import missing
from tests.provider import LITELLM_WARNINGS
from tests.workers.postgres import find_postgres, postgres
from workers.agents import AGENTS

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            for warning in LITELLM_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(scope="package")
def model_loop() -> Iterator[asyncio.Runner]:
    """An event loop: litellm keeps its clients per loop, so the package shares one."""
    load_litellm()
    with asyncio.Runner() as runner:
        yield runner
        runner.run(load_litellm().close_litellm_async_clients())


@pytest.fixture(autouse=True)
def fast_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo model without its pauses."""
    for agent in AGENTS:
        if isinstance(agent, Agent):
            monkeypatch.setattr(agent, "options", replace(agent.options, model="demo/assistant@0"))


@pytest.fixture(scope="package")
def postgres_url() -> Iterator[str]:
    """A running PostgreSQL."""
    with postgres(find_postgres() or missing("PostgreSQL")) as url:
        yield url


@pytest.fixture
def part() -> Callable[[dict[str, Any], str], dict[str, Any]]:
    """The one part of a message that has this type."""

    def find(message: dict[str, Any], kind: str) -> dict[str, Any]:
        (found,) = [part for part in message["parts"] if part["type"] == kind]
        return dict(found)

    return find
