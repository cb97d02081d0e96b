"""Sessions from the worker's side: claim, renew, append, commit, settle. Every write carries the lease's epoch."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import orjson
import redis.asyncio
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from chatagent.errors import LeaseLost, StoreDown
from chatagent.ids import new_id
from chatagent.record import InRecord, Kind
from chatagent.redis.doorbell import MAX_BELL_BYTES, tell_feeds
from chatagent.redis.feed import outcome_fields
from chatagent.redis.keys import Keys
from chatagent.redis.script import run_async, script
from chatagent.redis.session import labels, pairs
from chatagent.runtime.port import Batch, Claim, Commit, Committed, Held, Settled
from chatagent.ui import decode, encode

logger = logging.getLogger(__name__)

#: Overdue sessions that one sweep looks at.
_SWEEP_PAGE = 200


@dataclass(frozen=True, slots=True)
class LeaseOptions:
    """How this worker holds sessions."""

    #: Unique per process: an owner that restarts is another owner.
    owner: str
    #: Queue that only this worker consumes; a warm session's next message goes there.
    queue: str
    #: Seconds a silent worker keeps its session.
    lease_s: float = 15.0
    #: Seconds a task may take to come before it is sent again.
    claim_grace_s: float = 5.0

    @property
    def lease_ms(self) -> int:
        return int(self.lease_s * 1000)


@asynccontextmanager
async def store_errors() -> AsyncIterator[None]:
    """Translate the errors of redis-py, once, at the edge."""
    try:
        yield
    except (RedisConnectionError, RedisTimeoutError, OSError) as error:
        raise StoreDown("Redis does not answer") from error


class Leases:
    """The worker's store (`chatagent.runtime.port.Store`)."""

    def __init__(self, client: redis.asyncio.Redis, keys: Keys, options: LeaseOptions) -> None:
        self.client = client
        self.keys = keys
        self.options = options
        self._background: set[asyncio.Task[None]] = set()

    async def claim(self, session_id: str, *, known_epoch: int = -1) -> Claim | None:
        """Take the lease; None when another holds it, nothing is unread or there is no such session.

        The sweeper's index is written first: a claim that we do not live to see is found when its lease lapses.
        """
        keys = self.keys
        names = [keys.session(session_id), keys.inbox(session_id), keys.outbox(session_id), keys.history(session_id)]
        args = [
            self.options.owner,
            self.options.lease_ms,
            known_epoch,
            new_id("run_"),
            keys.out_channel(session_id),
            new_id(),
        ]
        async with store_errors():
            _, answer = await run_async(self.client, self._index(session_id), script("claim")(names, args))
            if answer[0] != b"ok":
                return None
        claim = _claim(answer, known_epoch)
        self._spawn(self._forget_task(claim))
        return claim

    async def renew(self, claims: Sequence[Claim]) -> list[Held | LeaseLost]:
        """Keep leases, in one round trip."""
        renew = script("renew")
        commands = [
            renew([self.keys.session(claim.session_id)], [claim.epoch, self.options.lease_ms]) for claim in claims
        ]
        async with store_errors():
            answers = await run_async(self.client, *commands, *[self._index(claim.session_id) for claim in claims])
        return [_held(answer, stopped=1, unread=2) for answer in answers[: len(commands)]]

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
        return [_held(answer, stopped=2) for answer in answers]

    async def commit(self, commit: Commit) -> Committed:
        """End a turn. Raises: LeaseLost."""
        keys, claim, changes = self.keys, commit.claim, commit.changes
        session_id = claim.session_id
        fields = {**commit.fields, **outcome_fields(commit)}
        replaced = [(at, encode(message)) for at, message in changes.replaced]
        names = [keys.session(session_id), keys.inbox(session_id), keys.outbox(session_id), keys.history(session_id)]
        args: list[Any] = [
            claim.epoch,
            claim.record.seq,
            changes.keep,
            keys.out_channel(session_id),
            self.options.queue,
            int(commit.warm_s * 1000),
            orjson.dumps(commit.headers),
            len(replaced),
            *[item for pair in replaced for item in pair],
            len(changes.appended),
            *[encode(message) for message in changes.appended],
            len(fields),
            *[item for pair in fields.items() for item in pair],
            *commit.records,
        ]
        async with store_errors():
            answer, *_ = await run_async(
                self.client,
                script("commit")(names, args),
                ("ZREM", keys.leases, session_id),
                *self._touch(claim),
            )
        if answer[0] == b"lost":
            raise LeaseLost(session_id)
        if answer[2] == 1:
            await self._index_queued(session_id)
            return Committed(answer[1], Settled("queued", claim.agent, answer[3].decode()))
        return Committed(answer[1], Settled("idle"))

    async def hand_back(self, claim: Claim) -> Settled:
        """Give a turn up so that another worker resumes it; it does not count as an attempt."""
        return await self._settle(claim.session_id, str(claim.epoch))

    async def cool(self, session_ids: Sequence[str]) -> None:
        """Forget that these sessions are warm here: their next message goes to any worker."""
        cool = "if redis.call('HGET', KEYS[1], 'warm') == ARGV[1] then redis.call('HSET', KEYS[1], 'warm', '') end"
        async with store_errors():
            if session_ids:
                names = [self.keys.session(session_id) for session_id in session_ids]
                await run_async(self.client, *[("EVAL", cool, 1, name, self.options.queue) for name in names])

    async def settle(self, session_id: str) -> Settled:
        """Decide what an overdue session needs, and keep the sweeper's indexes true."""
        return await self._settle(session_id, "")

    async def overdue(self) -> list[str]:
        """Sessions whose lease lapsed or whose task did not come, oldest first."""
        now = int(time.time() * 1000)
        late = now - int(self.options.claim_grace_s * 1000)
        async with store_errors():
            lapsed, unclaimed = await run_async(
                self.client,
                ("ZRANGEBYSCORE", self.keys.leases, "-inf", now, "LIMIT", 0, _SWEEP_PAGE),
                ("ZRANGEBYSCORE", self.keys.queued, "-inf", late, "LIMIT", 0, _SWEEP_PAGE),
            )
        return list(dict.fromkeys(member.decode() for member in [*lapsed, *unclaimed]))

    async def _settle(self, session_id: str, epoch: str) -> Settled:
        grace_ms = int(self.options.claim_grace_s * 1000)
        keys = self.keys
        async with store_errors():
            before, answer = await run_async(
                self.client,
                ("ZSCORE", keys.queued, session_id),
                script("settle")([keys.session(session_id)], [epoch, grace_ms]),
            )
            state = answer[0].decode()
            if state == "queued":
                await self._index_queued(session_id)
                return Settled("queued", answer[1].decode(), answer[2].decode())
            if state == "held":
                await run_async(self.client, ("ZADD", keys.leases, answer[1], session_id))
                await self._forget_queued(session_id, before)
            elif state == "waiting":
                due = answer[1] - grace_ms
                await run_async(self.client, ("ZADD", keys.queued, due, session_id), ("ZREM", keys.leases, session_id))
            elif state in ("idle", "missing"):
                await run_async(self.client, ("ZREM", keys.leases, session_id))
                await self._forget_queued(session_id, before)
        return Settled(state)

    async def _index_queued(self, session_id: str) -> None:
        now = int(time.time() * 1000)
        async with store_errors():
            await run_async(
                self.client,
                ("ZADD", self.keys.queued, now, session_id),
                ("ZREM", self.keys.leases, session_id),
            )

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

    async def _forget_queued(self, session_id: str, score: Any) -> None:
        """Drop an index entry unless a send renewed it since we looked."""
        if score is not None:
            drop = "if redis.call('ZSCORE', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('ZREM', KEYS[1], ARGV[1]) end"
            seen = int(score) if float(score).is_integer() else score
            await run_async(self.client, ("EVAL", drop, 1, self.keys.queued, session_id, seen))

    def _index(self, session_id: str) -> tuple[Any, ...]:
        deadline = int(time.time() * 1000) + self.options.lease_ms
        return ("ZADD", self.keys.leases, deadline, session_id)

    def _touch(self, claim: Claim) -> list[tuple[Any, ...]]:
        now = int(time.time() * 1000)
        return [
            ("ZADD", self.keys.listing(*label), now, claim.session_id)
            for label in labels(claim.agent, claim.user, claim.tags)
        ] + self._tell(claim)

    def _tell(self, claim: Claim) -> list[tuple[Any, ...]]:
        return tell_feeds(self.keys, claim.session_id, labels(claim.agent, claim.user, claim.tags))


def _held(answer: list[Any], *, stopped: int, unread: int | None = None) -> Held | LeaseLost:
    """The answer of a script that needs the lease; `stopped` and `unread` are where it says so."""
    if answer[0] == b"lost":
        return LeaseLost()
    return Held(stopped=answer[stopped] == 1, unread=0 if unread is None else answer[unread])


def _claim(answer: list[Any], known_epoch: int) -> Claim:
    _, flat, seq, kind, payload, at_ms, stopped, history, tail = answer
    fields: Mapping[bytes, bytes] = pairs(flat)

    def text(name: bytes) -> str | None:
        value = fields.get(name)
        return value.decode() if value else None

    epoch = int(fields[b"epoch"])
    return Claim(
        session_id=fields[b"id"].decode(),
        chat_id=fields[b"ext"].decode(),
        agent=fields[b"agent"].decode(),
        epoch=epoch,
        turn=int(fields[b"turn"]),
        attempt=int(fields[b"attempts"]),
        record=InRecord(seq, cast(Kind, kind.decode()), decode(payload), at_ms),
        stopped=stopped == 1,
        history=None if known_epoch == epoch - 1 else [decode(message) for message in history],
        tail=list(tail),
        run_id=text(b"run_id") or "",
        previous_run_id=text(b"previous_run_id"),
        user=text(b"user"),
        title=text(b"title"),
        tags=tuple(orjson.loads(fields.get(b"tags") or b"[]")),
        metadata=orjson.loads(fields.get(b"metadata") or b"null"),
        locals=orjson.loads(fields.get(b"locals") or b"{}"),
        usage=orjson.loads(fields.get(b"usage") or b"{}"),
    )
