"""Sessions from the worker's side: claim, renew, append, commit. Every write carries the lease's epoch."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Coroutine, Mapping, Sequence
from typing import Any

import redis.asyncio

from chatagent.errors import LeaseLost, StoreDown
from chatagent.ids import new_id
from chatagent.record import Busy, InRecord
from chatagent.redis.claim import Holder, claim_command, read_claim
from chatagent.redis.commit import amend_command, commit_command
from chatagent.redis.doorbell import MAX_BELL_BYTES, tell_feeds
from chatagent.redis.due import due
from chatagent.redis.entry import read_inbox_entry
from chatagent.redis.error import store_errors
from chatagent.redis.feed import outcome_fields
from chatagent.redis.injection import inject
from chatagent.redis.keys import Keys
from chatagent.redis.listing import labels
from chatagent.redis.overdue import Overdue
from chatagent.redis.place import Places
from chatagent.redis.script import Command, run_async, script
from chatagent.redis.session import pairs
from chatagent.redis.sessions import close_commands
from chatagent.redis.store import LeaseOptions
from chatagent.runtime.conversation import Changes
from chatagent.runtime.port import Batch, Claim, Commit, Committed, Held, Settled
from chatagent.ui import decode

logger = logging.getLogger(__name__)


class Leases(Overdue, Places):
    """The worker's store (`chatagent.runtime.port.Store`)."""

    def __init__(self, client: redis.asyncio.Redis, keys: Keys, options: LeaseOptions) -> None:
        super().__init__(client, keys, options)
        self._background: set[asyncio.Task[None]] = set()

    async def claim(self, session_id: str, *, known_epoch: int = -1, busy: Busy = "enqueue") -> Claim | None:
        """Take the lease; None when another holds it, nothing is unread or there is no such session.

        The sweeper's index is written first: a claim that we do not live to see is found when its lease lapses.
        """
        holder = Holder(self.options.owner, self.options.lease_ms)
        command = claim_command(self.keys, session_id, holder, known_epoch=known_epoch, busy=busy)
        async with store_errors():
            _, answer = await run_async(self.client, self._index(session_id), command)
        claim = read_claim(answer)
        if claim is not None:
            self._spawn(self._forget_task(claim))
        return claim

    async def take(self, claim: Claim, busy: Collection[Busy] | None = None) -> list[InRecord]:
        """Reserve unread messages for this turn (None: all); those that it has reserved before are among them.

        Raises: LeaseLost.
        """
        if busy is not None and not busy:
            return []
        keys, session_id = self.keys, claim.session_id
        names = [keys.session(session_id), keys.inbox(session_id), keys.edits(session_id)]
        answer = await self._fenced(script("take")(names, [claim.epoch, *(busy or ())]))
        edits = pairs(answer[2])
        return [read_inbox_entry(entry, edits) for entry in answer[1]]

    async def mark(self, claim: Claim, fields: Mapping[str, bytes]) -> None:
        """Write fields of the session while the turn runs. Raises: LeaseLost."""
        flat = [item for pair in fields.items() for item in pair]
        await self._fenced(script("mark")([self.keys.session(claim.session_id)], [claim.epoch, *flat]))

    async def inject(self, session_id: str, messages: Sequence[dict[str, Any]], *, key: str | None = None) -> None:
        """Put model messages where a running turn finds them at its next step, else the next turn. Raises: NotFound."""
        await inject(self.client, self.keys, session_id, messages, key)

    async def injected(self, session_id: str, after: int) -> list[dict[str, Any]]:
        """What was injected since the last commit, but for the first `after` messages."""
        async with store_errors():
            (found,) = await run_async(self.client, ("LRANGE", self.keys.injected(session_id), after, -1))
        return [decode(message) for message in found]

    async def renew(self, claims: Sequence[Claim]) -> list[Held | LeaseLost]:
        """Keep leases, and the places that go with them, in one round trip."""
        async with store_errors():
            answers = await run_async(self.client, *self._renewals(claims))
        return [_held(answer, stopped=1, unread=2, forgotten=4) for answer in answers[: len(claims)]]

    async def append(self, batches: Sequence[Batch]) -> list[Held | LeaseLost]:
        """Write batches of many sessions in one round trip; a batch that was written before is not written again."""
        append, keys = script("append"), self.keys
        commands = [
            append(
                [keys.session(batch.session_id), keys.outbox(batch.session_id)],
                [
                    batch.epoch,
                    batch.number,
                    self.options.lease_ms,
                    keys.out_channel(batch.session_id),
                    MAX_BELL_BYTES,
                    *batch.records,
                ],
            )
            for batch in batches
        ]
        async with store_errors():
            answers = await run_async(self.client, *commands)
        return [_held(answer, stopped=2, unread=3, forgotten=4) for answer in answers]

    async def commit(self, commit: Commit) -> Committed:
        """End a turn. Raises: LeaseLost."""
        claim, keys = commit.claim, self.keys
        before, after = self._list(commit)
        async with store_errors():
            replies = await run_async(
                self.client,
                *before,
                commit_command(keys, commit, self.options.queue),
                ("ZREM", keys.leases, claim.session_id),
                *after,
            )
        answer = replies[len(before)]
        if answer[0] == b"lost":
            raise LeaseLost(claim.session_id)
        if answer[2] != 1:
            return Committed(answer[1], Settled("idle"))
        async with store_errors():
            await run_async(self.client, *self._index_queued(claim.session_id))
        return Committed(answer[1], Settled("queued", claim.agent, answer[3].decode()))

    async def amend(
        self, claim: Claim, changes: Changes, fields: Mapping[str, bytes], *, run_s: float | None = None
    ) -> bool:
        """Change history and fields after the commit of `claim`; False when the chat has moved on since."""
        command = amend_command(self.keys, claim, changes, fields, new_id(), run_s=run_s)
        async with store_errors():
            (answer,) = await run_async(self.client, command)
        return bool(answer[0] == b"ok")

    async def end_chat(self, claim: Claim, reason: str | None) -> None:
        """Close the session for good; the first reason counts."""
        found = labels(claim.agent, claim.user, claim.tags, claim.kind)
        async with store_errors():
            await run_async(
                self.client, *close_commands(self.keys, claim.session_id, found, reason), *self._tell(claim)
            )

    async def suspend(self, session_ids: Sequence[str], *, over: bool = False) -> None:
        """Their runs are no longer warm here: any worker resumes them, as the same runs, unless they are `over`."""
        suspend, args = script("suspend"), [self.options.queue, int(over)]
        commands = [suspend([self.keys.session(session_id)], args) for session_id in session_ids]
        async with store_errors():
            if commands:
                await run_async(self.client, *commands)

    async def _fenced(self, command: Command) -> list[Any]:
        """Send a command that needs the lease. Raises: LeaseLost."""
        async with store_errors():
            (answer,) = await run_async(self.client, command)
        if answer[0] == b"lost":
            raise LeaseLost
        return list(answer)

    def _list(self, commit: Commit) -> tuple[list[Command], list[Command]]:
        """What a commit does to the listings, before and after it. An entry too many is dropped by its reader."""
        claim, now = commit.claim, int(time.time() * 1000)
        found = labels(claim.agent, claim.user, claim.tags, claim.kind)
        outcome = outcome_fields(commit).get("outcome")
        before: list[Command] = []
        # A listing that was left meanwhile stays left.
        after: list[Command] = [("ZADD", self.keys.listing(*label), "XX", now, claim.session_id) for label in found]
        if outcome == b"waiting":
            before += [("ZADD", self.keys.listing(*label, status="waiting"), now, claim.session_id) for label in found]
        elif outcome is not None:
            after += [("ZREM", self.keys.listing(*label, status="waiting"), claim.session_id) for label in found]
        if commit.close is not None:
            before += [("ZADD", self.keys.listing(*label, status="closed"), now, claim.session_id) for label in found]
        return before, after + self._tell(claim)

    def _tell(self, claim: Claim) -> list[Command]:
        found = labels(claim.agent, claim.user, claim.tags, claim.kind)
        return tell_feeds(self.keys, claim.session_id, [] if claim.kind == "task" else found)

    async def _forget_task(self, claim: Claim) -> None:
        """The task came. Nobody waits for this: an entry that stays is dropped by the sweeper."""
        try:
            async with store_errors():
                await run_async(self.client, ("ZREM", self.keys.queued, claim.session_id), *self._tell(claim))
        except StoreDown:
            logger.debug("index entry left to the sweeper")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _renewals(self, claims: Sequence[Claim]) -> list[Command]:
        """What keeps leases: first a command for each."""
        renew, session_ids = script("renew"), [claim.session_id for claim in claims]
        commands = [
            renew([self.keys.session(claim.session_id)], [claim.epoch, self.options.lease_ms]) for claim in claims
        ]
        return [*commands, self._index(*session_ids), *self._keep_places(session_ids)]

    def _index(self, *session_ids: str) -> Command:
        return due(self.keys.leases, *session_ids, in_ms=self.options.lease_ms)


def _held(answer: list[Any], *, stopped: int, unread: int, forgotten: int) -> Held | LeaseLost:
    """The answer of a script that needs the lease; the numbers are where it says what."""
    if answer[0] == b"lost":
        return LeaseLost()
    return Held(stopped=answer[stopped] == 1, unread=answer[unread], forgotten=answer[forgotten] == 1)
