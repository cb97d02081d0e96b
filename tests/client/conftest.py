"""A gateway, a worker that does as it is told, and connections that can be cut."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import pytest

from tests.client.colour import COLOURS, Colour
from tests.client.cutter import Cutter
from tests.flask.conftest import gateway, gateway_with, kept_gateways, new_gateway, shared_gateway, worker
from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker, Turn

__all__ = ["gateway", "gateway_with", "kept_gateways", "new_gateway", "shared_gateway", "worker"]

NewCutter = Callable[[int], Cutter]
#: What the worker does with the next turns.
Plan = deque[Callable[[Turn], object]]


@pytest.fixture(params=COLOURS)
def colour(request: pytest.FixtureRequest) -> Colour:
    """The client for threads and the one for asyncio, in turn."""
    found: Colour = request.param
    return found


@pytest.fixture
def cut_after(gateway: GatewayProcess) -> Iterator[NewCutter]:
    """Ways to the gateway that are cut once, after so many events of a stream."""
    made: list[Cutter] = []

    def make(events: int) -> Cutter:
        made.append(Cutter(gateway.port, events))
        return made[-1]

    yield make
    for cutter in made:
        cutter.close()


@pytest.fixture
def plan(worker: ScriptedWorker) -> Plan:
    """The worker answers each turn with what is next in the plan."""
    plan: Plan = deque()

    def answer(turn: Turn) -> None:
        plan.popleft()(turn)

    worker.serve(answer)
    return plan
