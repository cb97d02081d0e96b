"""The real `openai` package at a gateway whose worker does as it is told."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from openai import OpenAI

from tests.flask.conftest import gateway, new_gateway, shared_gateway, worker
from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker, Turn
from tests.loopback import LOOPBACK

__all__ = ["gateway", "new_gateway", "shared_gateway", "worker"]

Plan = deque[Callable[[Turn], object]]


def noting(seen: list[Turn], chunks: list[dict[str, Any]]) -> Callable[[Turn], object]:
    """Answers a turn with these chunks and notes it."""

    def answer(turn: Turn) -> None:
        seen.append(turn)
        turn.commit(*chunks)

    return answer


@pytest.fixture
def client(gateway: GatewayProcess) -> Iterator[OpenAI]:
    """A client with all rights that does not try again by itself."""
    with OpenAI(
        base_url=f"{gateway.url}/v1",
        api_key=gateway.token(),
        max_retries=0,
        http_client=httpx.Client(**LOOPBACK),
    ) as made:
        yield made


@pytest.fixture
def plan(worker: ScriptedWorker) -> Plan:
    """The worker answers each turn with what is next in the plan."""
    plan: Plan = deque()

    def answer(turn: Turn) -> None:
        plan.popleft()(turn)

    worker.serve(answer)
    return plan
