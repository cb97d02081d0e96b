"""Runs: what a process keeps of a chat between its turns, while it is warm."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from chatagent.runtime.conversation import UIMessage
from chatagent.runtime.port import Claim


@dataclass(slots=True, eq=False)
class Run:
    """A span of turns that shares in-process state. `epoch` is that of its last turn here."""

    session_id: str
    run_id: str
    epoch: int
    history: list[UIMessage]
    continuation: bool
    previous_run_id: str | None
    #: Held from claim to the last hook of a turn, so that turns of one chat never overlap in this process.
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    expiry: asyncio.TimerHandle | None = None


class Runs:
    """The warm runs of this process."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def __len__(self) -> int:
        return len(self._runs)

    def known_epoch(self, session_id: str) -> int:
        """The epoch whose history is still held here; -1 for none."""
        run = self._runs.get(session_id)
        return run.epoch if run is not None else -1

    def enter(self, claim: Claim) -> Run:
        """The run that a claimed turn belongs to: the warm one if its epoch is unbroken, else a new one."""
        run = self._runs.pop(claim.session_id, None)
        if run is not None and run.expiry is not None:
            run.expiry.cancel()
        if run is None or claim.history is not None:
            run = Run(
                session_id=claim.session_id,
                run_id=claim.run_id,
                epoch=claim.epoch,
                history=claim.history or [],
                continuation=claim.turn > 0,
                previous_run_id=claim.previous_run_id,
            )
        run.epoch = claim.epoch
        return run

    def park(self, run: Run, idle_timeout_s: float, on_expired: Callable[[Run], None]) -> None:
        """Keep a run warm for a while after its turn."""
        if idle_timeout_s <= 0:
            on_expired(run)
            return
        self._runs[run.session_id] = run

        def expire() -> None:
            if self._runs.get(run.session_id) is run:
                del self._runs[run.session_id]
                on_expired(run)

        run.expiry = asyncio.get_running_loop().call_later(idle_timeout_s, expire)

    def clear(self) -> list[Run]:
        """Forget all runs; returns them."""
        runs, self._runs = list(self._runs.values()), {}
        for run in runs:
            if run.expiry is not None:
                run.expiry.cancel()
        return runs
