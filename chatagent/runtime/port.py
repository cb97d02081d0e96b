"""What the runtime needs from the world: a store with leases, and a way to enqueue turn tasks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from chatagent.errors import LeaseLost
from chatagent.record import Busy, InRecord
from chatagent.runtime.child_port import ChildStore
from chatagent.runtime.conversation import Changes, UIMessage

#: Enqueue the turn task of a session: agent id, session id, queue.
Dispatch = Callable[[str, str, str], Awaitable[None]]

Outcome = Literal["completed", "stopped", "failed", "waiting"]
#: The run that a claimed turn belongs to: `warm` in this process, `suspended` (the same run, its state is to be
#: rebuilt), or `new` (the chat's first, or a continuation after an end or a crash).
RunState = Literal["warm", "suspended", "new"]
#: Why an attempt at a message was not the first: its worker died, or handed it back at a shutdown.
Cause = Literal["crashed", "shutdown"]
#: Whose sessions: an agent's, a loop's of the author's own, or the runs of a plain task.
SessionKind = Literal["agent", "custom", "task"]


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
    run_state: RunState = "new"
    #: Turns that the run has answered before this one.
    run_turn: int = 0
    #: The run was started by a preload.
    preloaded: bool = False
    #: `on_chat_start` has been through (session field `chat_started`).
    chat_started: bool = False
    #: None on a first attempt.
    cause: Cause | None = None
    #: The user wants the stopped turn forgotten.
    forgotten: bool = False
    #: Unread messages and actions behind `record`, oldest first (at most 100).
    waiting: tuple[InRecord, ...] = ()
    #: Of these, what an attempt that died had merged into its turn (session field `merged`).
    merged: tuple[int, ...] = ()
    #: Model messages that were injected and that no committed turn has read, oldest first.
    injected: tuple[dict[str, Any], ...] = ()
    #: What the model reads beside the UI messages: summaries and injected messages (session field `lane`).
    lane: dict[str, Any] = field(default_factory=dict)
    kind: SessionKind = "agent"


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
    #: A stop that wants the turn forgotten (`rollback`).
    forgotten: bool = False


@dataclass(frozen=True, slots=True)
class Commit:
    """The end of a turn."""

    claim: Claim
    changes: Changes
    records: list[bytes]
    headers: dict[str, Any]
    fields: dict[str, bytes]
    warm_s: float
    #: Further inbox records that this turn has answered (steered or merged into it); they leave the inbox.
    consumed: tuple[int, ...] = ()
    #: How many injected messages the turn has read (they are in `lane` now); the first of the list.
    injected: int = 0
    #: Count it as a turn of the chat and of its run; an action and a preload are none.
    counts: bool = True
    #: Write no turn-complete record: nobody waits for it (a preload).
    silent: bool = False
    #: Seconds that the run outlives this turn, warm or suspended; 0 ends it: the next message starts a continuation.
    run_s: float = 3600.0
    #: Close the session for good in the same step.
    close: str | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """What a session without a live turn needs. `queued`: enqueue it now, at `agent` and `queue`."""

    state: Literal["missing", "idle", "held", "waiting", "lost", "queued"]
    agent: str = ""
    queue: str = ""


@dataclass(frozen=True, slots=True)
class Committed:
    """A turn is stored: the seq of its turn-complete, and what its session needs next."""

    seq: int
    next: Settled


class Store(Protocol):
    """Sessions as a worker changes them. Every call is idempotent and raises StoreDown when there is no answer."""

    @property
    def children(self) -> ChildStore:
        """Sessions that this worker does not hold."""

    async def claim(self, session_id: str, *, known_epoch: int, busy: Busy = "enqueue") -> Claim | None:
        """Take the lease; None when another holds it or nothing is unread. `busy` is the agent's own policy."""

    async def take(self, claim: Claim, busy: Collection[Busy] | None = None) -> list[InRecord]:
        """Reserve unread messages for this turn (None: all), so that they can no longer be edited or cancelled.

        What this turn has reserved before is among the answer. They stay in the inbox until the commit names them as
        consumed: a turn that dies has not lost them.
        Raises: LeaseLost.
        """

    async def mark(self, claim: Claim, fields: Mapping[str, bytes]) -> None:
        """Write fields of the session while the turn runs. Raises: LeaseLost."""

    async def inject(self, session_id: str, messages: Sequence[dict[str, Any]], *, key: str | None = None) -> None:
        """Put model messages where a running turn finds them between two steps, else the next turn.

        The same `key` again puts nothing. Raises: NotFound.
        """

    async def injected(self, session_id: str, after: int) -> list[dict[str, Any]]:
        """What was injected since the last commit, but for the first `after` messages."""

    async def renew(self, claims: Sequence[Claim]) -> list[Held | LeaseLost]:
        """Keep leases, in one round trip."""

    def keep(self, claims: Sequence[Claim]) -> None:
        """Keep leases, from another thread, while the loop cannot. Raises: StoreDown."""

    async def append(self, batches: Sequence[Batch]) -> list[Held | LeaseLost]:
        """Write batches of many sessions in one round trip."""

    async def commit(self, commit: Commit) -> Committed:
        """End a turn; next is `queued` when unread messages remain. Raises: LeaseLost."""

    async def amend(
        self, claim: Claim, changes: Changes, fields: Mapping[str, bytes], *, run_s: float | None = None
    ) -> bool:
        """Change history and fields after the commit of `claim`; False when the chat has moved on since.

        `run_s`: seconds that the run goes on from now (0: it is over), unless that stays as it was.
        """

    async def end_chat(self, claim: Claim, reason: str | None) -> None:
        """Close the session for good."""

    async def hand_back(self, claim: Claim) -> Settled:
        """Give a turn up so that another worker resumes it; it does not count as an attempt."""

    async def suspend(self, session_ids: Sequence[str], *, over: bool = False) -> None:
        """Their runs are no longer warm here: any worker resumes them, as the same runs, unless they are `over`."""

    async def overdue(self) -> list[str]:
        """Sessions whose lease lapsed or whose task did not come."""

    async def settle(self, session_ids: Sequence[str]) -> list[Settled]:
        """Decide what overdue sessions need, in one go."""

    async def admit(self, agent: str, session_id: str, limit: int) -> bool:
        """Whether the session may be answered now, as one of at most `limit` of its agent over all workers.

        To be asked before the claim. A session that is refused stays queued, and waits in order of arrival: `release`
        says when it is its turn, and the sweeper finds it anyway. `renew` keeps the place; with its worker it lapses.
        """

    async def release(self, agent: str, session_id: str) -> str | None:
        """Give the place of `admit` back; returns the session that waits longest, for the caller to enqueue."""


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
