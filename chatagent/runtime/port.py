"""What the runtime needs from the world: a store with leases, and a way to enqueue turn tasks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from chatagent.errors import LeaseLost
from chatagent.record import InRecord
from chatagent.runtime.conversation import Changes, UIMessage

#: Enqueue the turn task of a session: agent id, session id, queue.
Dispatch = Callable[[str, str, str], Awaitable[None]]

Outcome = Literal["completed", "stopped", "failed", "waiting"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A lease, and all that its turn needs.

    `history` is None when the caller still holds it (its last epoch is unbroken). `tail` are the outbox records
    after the last turn-complete that a dead attempt at the same message left behind.
    """

    session_id: str
    chat_id: str
    agent: str
    epoch: int
    turn: int
    attempt: int
    record: InRecord
    stopped: bool
    history: list[UIMessage] | None
    tail: list[bytes]
    run_id: str
    previous_run_id: str | None
    user: str | None = None
    title: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Any = None
    locals: dict[str, Any] = field(default_factory=dict)
    usage: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Batch:
    """Records to append; `number` counts the batches of a turn from 1, so that a repeated one is known."""

    session_id: str
    epoch: int
    number: int
    records: list[bytes]


@dataclass(frozen=True, slots=True)
class Held:
    """The lease is still ours; `stopped` says that the user stopped this turn, `unread` counts waiting records."""

    stopped: bool
    unread: int = 0


@dataclass(frozen=True, slots=True)
class Commit:
    """The end of a turn."""

    claim: Claim
    changes: Changes
    records: list[bytes]
    headers: dict[str, Any]
    fields: dict[str, bytes]
    warm_s: float


@dataclass(frozen=True, slots=True)
class Settled:
    """What a session without a live turn needs. `queued`: enqueue it now, at `agent` and `queue`."""

    state: Literal["missing", "idle", "held", "waiting", "lost", "queued"]
    agent: str = ""
    queue: str = ""
    due_ms: int = 0


@dataclass(frozen=True, slots=True)
class Committed:
    """A turn is stored: the seq of its turn-complete, and what its session needs next."""

    seq: int
    next: Settled


class Store(Protocol):
    """Sessions as a worker changes them. Every call is idempotent and raises StoreDown when there is no answer."""

    async def claim(self, session_id: str, *, known_epoch: int) -> Claim | None:
        """Take the lease; None when another holds it or nothing is unread."""

    async def renew(self, claims: Sequence[Claim]) -> list[Held | LeaseLost]:
        """Keep leases, in one round trip."""

    async def append(self, batches: Sequence[Batch]) -> list[Held | LeaseLost]:
        """Write batches of many sessions in one round trip."""

    async def commit(self, commit: Commit) -> Committed:
        """End a turn; next is `queued` when unread messages remain. Raises: LeaseLost."""

    async def hand_back(self, claim: Claim) -> Settled:
        """Give a turn up so that another worker resumes it; it does not count as an attempt."""

    async def cool(self, session_ids: Sequence[str]) -> None:
        """Forget that these sessions are warm here: their next message goes to any worker."""

    async def overdue(self) -> list[str]:
        """Sessions whose lease lapsed or whose task did not come."""

    async def settle(self, session_id: str) -> Settled:
        """Decide what an overdue session needs."""


class WorkerStore(Store, Protocol):
    """A store as one worker process opens it."""

    async def announce(self, agents: Mapping[str, Mapping[str, Any]]) -> None:
        """Say that this worker lives and serves `agents` (id → card)."""

    async def leave(self) -> None:
        """Say that this worker is gone."""

    async def listen(self, ring: Callable[[str, str], None]) -> None:
        """Call `ring(kind, session id)` when something happens to a session that this worker holds; for ever."""

    async def close(self) -> None:
        """Drop all connections."""


class Backend(Protocol):
    """Where a deployment keeps its chats."""

    def open_worker(self, owner: str, queue: str) -> WorkerStore:
        """The store of a process that calls itself `owner` and alone consumes `queue`; called on its loop."""
