"""Runs: what a process keeps of a chat between its turns, while it is warm."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from chatagent.agent.local import Locals
from chatagent.runtime.conversation import UIMessage
from chatagent.runtime.lane import Lane, read_lane
from chatagent.runtime.port import Claim

#: Runs that one process keeps warm at most; a chat that is forgotten costs its next turn one read of its history.
MAX_WARM = 5000


@dataclass(slots=True, eq=False)
class Run:
    """A span of turns that shares in-process state. `epoch` is that of its last turn here."""

    session_id: str
    run_id: str
    epoch: int
    history: list[UIMessage]
    continuation: bool
    previous_run_id: str | None
    expiry: asyncio.TimerHandle | None = None
    #: This process has not had the run before: `on_boot` is due.
    fresh: bool = True
    preloaded: bool = False
    locals: Locals = field(default_factory=Locals)
    lane: Lane = field(default_factory=Lane)
    #: The system prompt that `chat.prompt.set` gave it.
    prompt: Any = None
    #: Tokens of its chat's last turn.
    previous_usage: dict[str, Any] | None = None
    #: What `chat.set_idle_timeout` and `chat.set_turn_timeout` said.
    idle_timeout_s: float | None = None
    turn_timeout_s: float | None = None
    #: Runs the hooks of a run that leaves its process.
    leave: Callable[[], Awaitable[None]] | None = None

    def restore(self, claim: Claim) -> None:
        """Take over what the session keeps of the run; of a run that is over, only the conversation."""
        self.lane = read_lane(claim.lane)
        self.preloaded = claim.preloaded
        kept = claim.locals
        self.previous_usage = kept.get("usage")
        if claim.run_state != "new" or kept.get("until_ms", 0) > time.time() * 1000:
            self.locals = Locals(stored=dict(kept.get("values", {})))
            self.prompt = kept.get("prompt")

    def state(self, run_s: float) -> bytes:
        """What the session keeps of the run (field `locals`) for `run_s` seconds."""
        kept: dict[str, Any] = {"usage": self.previous_usage or {}}
        if run_s > 0:
            kept |= {"until_ms": int((time.time() + run_s) * 1000), "values": self.locals.snapshot()}
            if self.prompt is not None:
                kept["prompt"] = self.prompt
        return orjson.dumps(kept)


class Runs:
    """The warm runs of this process."""

    def __init__(self) -> None:
        #: Longest parked first.
        self._runs: dict[str, Run] = {}

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
            run.restore(claim)
        run.epoch = claim.epoch
        return run

    def park(self, run: Run, idle_timeout_s: float) -> None:
        """Keep a run warm for a while after its turn; the one that waits longest makes room."""
        if idle_timeout_s <= 0:
            return
        self._runs[run.session_id] = run
        run.expiry = asyncio.get_running_loop().call_later(idle_timeout_s, self._forget, run)
        if len(self._runs) > MAX_WARM:
            self._forget(next(iter(self._runs.values())))

    def clear(self) -> list[str]:
        """Forget all runs; returns their session ids."""
        session_ids = list(self._runs)
        for run in list(self._runs.values()):
            self._forget(run)
        return session_ids

    def _forget(self, run: Run) -> None:
        if run.expiry is not None:
            run.expiry.cancel()
        if self._runs.get(run.session_id) is run:
            del self._runs[run.session_id]
