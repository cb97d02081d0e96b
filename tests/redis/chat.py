"""A session on a real Redis, seen from both sides: the gateway's clients and two workers that race."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar, cast

from chatagent.record import Busy
from chatagent.redis.channel import Channels
from chatagent.redis.connection import connect, connect_async
from chatagent.redis.history import History
from chatagent.redis.inbox import Inbox, Pushed
from chatagent.redis.keys import Keys
from chatagent.redis.lease import Leases
from chatagent.redis.outbox import Outbox
from chatagent.redis.session import Session
from chatagent.redis.sessions import Sessions
from chatagent.redis.store import LeaseOptions
from chatagent.runtime.conversation import Changes
from chatagent.runtime.port import Claim, Commit

T = TypeVar("T")

KEYS = Keys("test")


class Gateway:
    """The synchronous side."""

    def __init__(self, url: str) -> None:
        self.client = connect(url)
        self.sessions = Sessions(self.client, KEYS)
        self.inbox = Inbox(self.client, KEYS)
        self.outbox = Outbox(self.client, KEYS)
        self.history = History(self.client, KEYS)
        self.channels = Channels(self.client, KEYS)

    def create(self, chat_id: str = "c1") -> Session:
        session, _ = self.sessions.create(chat_id, "support", queue="turns", user="ada", tags=["vip"])
        return session

    def say(
        self,
        session: Session,
        text: str = "hi",
        part_id: str | None = None,
        *,
        message_id: str = "u1",
        busy: Busy | None = None,
    ) -> Pushed:
        return self.inbox.push(session.id, "message", submit(text, message_id), part_id=part_id, busy=busy)

    def queued(self, session: Session) -> list[str]:
        """The texts of what waits."""
        return [record.payload["message"]["parts"][0]["text"] for record in self.inbox.queue(session.id)]

    def field(self, session: Session, name: str) -> str | None:
        found = cast("bytes | None", self.client.hget(KEYS.session(session.id), name))
        return None if found is None else found.decode()

    def kill_worker(self, session: Session) -> None:
        """Let the lease of a running turn lapse."""
        self.client.hset(KEYS.session(session.id), "lease_until", 1)

    def controls(self, session: Session) -> list[str | None]:
        return [record.control for record in self.outbox.read(session.id, -1)]


@contextmanager
def gateway(url: str) -> Iterator[Gateway]:
    """A gateway's clients, closed at the end."""
    side = Gateway(url)
    try:
        yield side
    finally:
        side.client.close()


def submit(text: str, message_id: str = "u1") -> dict[str, Any]:
    """The payload of a user's message."""
    message = {"id": message_id, "role": "user", "parts": [{"type": "text", "text": text}]}
    return {"trigger": "submit-message", "message": message}


def work(
    url: str, test: Callable[[Leases, Leases], Coroutine[Any, Any, T]], *, lease_s: float = 15.0, grace_s: float = 5.0
) -> T:
    """Run `test` with the stores of two workers."""

    async def both() -> T:
        stores = [
            Leases(connect_async(url), KEYS, LeaseOptions(f"w{n}", f"queue.w{n}", lease_s, grace_s)) for n in (1, 2)
        ]
        try:
            return await test(*stores)
        finally:
            for store in stores:
                await asyncio.gather(*store._background)
                await store.client.aclose()

    return asyncio.run(both())


async def claimed(store: Leases, session: Session, *, known_epoch: int = -1) -> Claim:
    """A claim that must succeed."""
    claim = await store.claim(session.id, known_epoch=known_epoch)
    assert claim is not None
    return claim


def ending(claim: Claim, *, keep: int = -1, messages: list[dict[str, Any]] | None = None, **changed: Any) -> Commit:
    """The commit of a turn that appended `messages`; `changed` are further fields of it."""
    commit = Commit(
        claim=claim,
        changes=Changes(keep=keep, replaced=[], appended=messages or [], last=messages[-1] if messages else None),
        records=[b'{"type":"finish"}'],
        headers={"in": claim.record.seq, "turn": claim.turn, "outcome": "completed"},
        fields={},
        warm_s=30,
    )
    return replace(commit, **changed)
