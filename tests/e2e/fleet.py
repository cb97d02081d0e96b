"""Workers and gateways on one Redis that many tests share."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.redis_server import RedisServer
from tests.stack import Gateway, Process, Stack

AGENTS = Path(__file__).parent / "agents.py"


class Fleet:
    """Starts processes that live as long as the fleet. A worker may be killed: `staff` replaces it."""

    def __init__(self, stack: Stack, exits: ExitStack) -> None:
        self.stack = stack
        self.workers: list[Process] = []
        self._exits = exits
        self._numbers = itertools.count(1)

    @property
    def redis(self) -> RedisServer:
        return self.stack.redis

    def staff(self, count: int) -> list[Process]:
        """See to it that so many workers are alive and ready; gives them."""
        self.workers = [worker for worker in self.workers if worker.exit_code is None]
        hired: dict[str, Process] = {}
        for _ in range(count - len(self.workers)):
            name = f"w{next(self._numbers)}"
            hired[name] = self._exits.enter_context(self.stack.worker(AGENTS, name=name, ready=False))
        for name, worker in hired.items():
            worker.wait_for(partial(self.stack.announced, name), f"worker {name} announced itself")
        self.workers += hired.values()
        return self.workers

    def gateway(self) -> Gateway:
        """Start a gateway."""
        return self._exits.enter_context(self.stack.gateway())

    def holder(self, session_id: str) -> Process | None:
        """The worker that runs a turn of this session now."""
        with self.redis.client() as client:
            owner = client.hget(self.stack.keys.session(session_id), "owner")
        assert owner is None or isinstance(owner, bytes)
        pid = (owner or b"").rpartition(b"/")[2].partition(b"-")[0].decode()
        return next((worker for worker in self.workers if str(worker.pid) == pid), None)

    def logs(self) -> str:
        """What its processes wrote, the end of each."""
        files = sorted(self.stack.folder.glob("*.log"))
        return "\n".join(f"--- {file.name}\n{file.read_text(errors='replace')[-3000:]}" for file in files)


@contextmanager
def open_fleet(stack: Stack) -> Iterator[Fleet]:
    """A fleet without members; all that it starts is ended."""
    with ExitStack() as exits:
        yield Fleet(stack, exits)


def show_processes(item: pytest.Item, report: pytest.TestReport) -> pytest.TestReport:
    """The report of a test; a failure shows what the processes of its fleet wrote."""
    fleet = getattr(item, "funcargs", {}).get("fleet")
    if report.failed and isinstance(fleet, Fleet):
        report.sections.append(("processes", fleet.logs()))
    return report
