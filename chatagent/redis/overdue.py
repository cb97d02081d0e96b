"""Overdue sessions: those whose lease lapsed or whose task did not come, and what they need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chatagent.redis.due import due, forget, overdue
from chatagent.redis.error import store_errors
from chatagent.redis.script import Command, run_async, script
from chatagent.redis.store import StorePart
from chatagent.runtime.port import Claim, Settled

#: Overdue sessions that one sweep looks at.
_SWEEP_PAGE = 200


class Overdue(StorePart):
    """The sweeper's and the leaver's side of the store."""

    async def overdue(self) -> list[str]:
        """Sessions whose lease lapsed or whose task did not come, oldest first."""
        async with store_errors():
            lapsed, unclaimed = await run_async(
                self.client,
                overdue(self.keys.leases, late_ms=0, most=_SWEEP_PAGE),
                overdue(self.keys.queued, late_ms=self.options.grace_ms, most=_SWEEP_PAGE),
            )
        return list(dict.fromkeys(member.decode() for member in [*lapsed, *unclaimed]))

    async def settle(self, session_ids: Sequence[str]) -> list[Settled]:
        """Decide what overdue sessions need, and keep the sweeper's indexes true; in two round trips."""
        return await self._settle([(session_id, "") for session_id in session_ids])

    async def hand_back(self, claim: Claim) -> Settled:
        """Give a turn up so that another worker resumes it; it does not count as an attempt."""
        (settled,) = await self._settle([(claim.session_id, str(claim.epoch))])
        return settled

    async def _settle(self, given: Sequence[tuple[str, str]]) -> list[Settled]:
        """Sessions with the epoch that is handed back, '' for none."""
        if not given:
            return []
        settle, keys = script("settle"), self.keys
        async with store_errors():
            replies = await run_async(
                self.client,
                *[("ZSCORE", keys.queued, session_id) for session_id, _ in given],
                *[settle([keys.session(session_id)], [epoch, self.options.grace_ms]) for session_id, epoch in given],
            )
            scores, answers = replies[: len(given)], replies[len(given) :]
            after = [
                command
                for (session_id, _), score, answer in zip(given, scores, answers, strict=True)
                for command in self._index_settled(session_id, score, answer)
            ]
            if after:
                await run_async(self.client, *after)
        return [_settled(answer) for answer in answers]

    def _index_settled(self, session_id: str, score: Any, answer: list[Any]) -> list[Command]:
        leases = self.keys.leases
        match answer[0]:
            case b"queued":
                return self._index_queued(session_id)
            case b"waiting":
                due = answer[1] - self.options.grace_ms
                return [("ZADD", self.keys.queued, due, session_id), ("ZREM", leases, session_id)]
            case b"held":
                return [("ZADD", leases, answer[1], session_id), *self._forget_queued(session_id, score)]
            case b"idle" | b"missing":
                return [("ZREM", leases, session_id), *self._forget_queued(session_id, score)]
        return []

    def _index_queued(self, session_id: str) -> list[Command]:
        """A task is on its way: look again when it does not come."""
        return [due(self.keys.queued, session_id), ("ZREM", self.keys.leases, session_id)]

    def _forget_queued(self, session_id: str, score: Any) -> list[Command]:
        """Drop an index entry unless a send renewed it since we looked."""
        return [] if score is None else [forget(self.keys.queued, session_id, score)]


def _settled(answer: list[Any]) -> Settled:
    state = answer[0].decode()
    if state == "queued":
        return Settled("queued", answer[1].decode(), answer[2].decode())
    return Settled(state)
