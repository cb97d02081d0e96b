"""What the engine runs: one claimed record being served, whatever kind of thing serves it."""

from __future__ import annotations

from typing import Protocol

from chatagent.runtime.port import Claim, Commit, Held, Outcome
from chatagent.signal import AbortController


class Served(Protocol):
    """A claimed record on its way to its commit.

    `answer` does the work and ends the stream; `commit` says what to store; `complete` runs what comes after it. The
    bodies here are what a kind of its own may inherit.
    """

    @property
    def claim(self) -> Claim: ...
    @property
    def stop(self) -> AbortController: ...
    @property
    def cancel(self) -> AbortController: ...
    @property
    def outcome(self) -> Outcome: ...

    @property
    def idle_s(self) -> float:
        """Seconds that the run stays warm afterwards."""
        return 0

    @property
    def run_s(self) -> float:
        """Seconds that the run outlives it, once it is complete; 0: it is over."""
        return 0

    async def answer(self) -> None:
        """Serve it. Raises: LeaseLost; CancelledError when cancelled from outside."""
        ...

    def commit(self, *, warm_s: float) -> Commit:
        """What ends it; called once, after `answer`."""
        ...

    async def complete(self, last_event_id: str) -> None:
        """It is committed; must not raise."""
        return

    def held(self, held: Held) -> None:
        """What a write or a renewal was answered."""
        if held.stopped:
            self.stop.abort("stopped")

    def on_message(self) -> None:
        """Something arrived in the inbox meanwhile."""
        return

    def expire(self, error: BaseException) -> None:
        """Time is up: end as failed with `error`. What does not heed the signal is cancelled after a grace period."""
        self.cancel.abort(error)
