"""The inbox from the gateway's side: put what a client sent where the worker will find it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import redis

from chatagent.errors import Closed, NotFound, Retryable
from chatagent.ids import new_id
from chatagent.record import Kind
from chatagent.redis.feed import active
from chatagent.redis.keys import Keys
from chatagent.redis.script import run, script
from chatagent.redis.session import Session, store_errors
from chatagent.ui import encode_value

#: Seconds for which a part id is remembered.
PART_TTL_S = 300
#: A chat takes no more unread messages than this.
MAX_UNREAD = 1000
#: Milliseconds after which a task that never came is sent again by the next message (the sweeper is sooner).
_TASK_OVERDUE_MS = 30_000
#: Milliseconds that a send waits for the disk or a replica.
_DURABLE_WAIT_MS = 2000

#: What the answer to a send means: in memory, on disk (`WAITAOF`), on a replica (`WAIT`).
Durability = Literal["memory", "disk", "replica"]


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a send was answered.

    `out_cursor` is the last outbox seq before anything that the answer can emit: who reads on from there loses
    nothing. With `enqueue` the caller must send a task for `agent` to `queue`.
    """

    seq: int
    out_cursor: int
    enqueue: bool
    queue: str
    agent: str
    duplicate: bool = False


class Inbox:
    """Writes to inboxes."""

    def __init__(self, client: redis.Redis, keys: Keys, *, durability: Durability = "memory") -> None:
        self.client = client
        self.keys = keys
        self.durability = durability

    def push(
        self,
        session_id: str,
        kind: Kind,
        payload: Mapping[str, Any],
        *,
        part_id: str | None = None,
        session: Session | None = None,
    ) -> Pushed:
        """Add one record. The same `part_id` again within 5 minutes adds nothing and gets the same answer.

        With `session`, as the caller knows it, its listings and their feeds are told.
        The sweeper's index is written before the record, so that a task is sent even if we die in between.
        Raises: NotFound, Closed, Retryable (too many unread messages), StoreDown.
        """
        keys = [
            self.keys.session(session_id),
            self.keys.inbox(session_id),
            self.keys.part(session_id, part_id or new_id()),
        ]
        args = [kind, encode_value(payload), PART_TTL_S, MAX_UNREAD, self.keys.worker_channel(""), _TASK_OVERDUE_MS]
        with store_errors():
            _, answer, *further = run(
                self.client,
                ("ZADD", self.keys.queued, int(time.time() * 1000), session_id),
                script("push")(keys, args),
                *self._wait(),
                *([] if session is None else active(self.keys, session)),
            )
        pushed = _pushed(session_id, answer)
        if self.durability != "memory" and not _is_kept(further[0]):
            raise Retryable("the message is not yet where it must be before we confirm it; send it again")
        return pushed

    def _wait(self) -> list[tuple[Any, ...]]:
        if self.durability == "disk":
            return [("WAITAOF", 1, 0, _DURABLE_WAIT_MS)]
        if self.durability == "replica":
            return [("WAIT", 1, _DURABLE_WAIT_MS)]
        return []


def _is_kept(reply: Any) -> bool:
    """Whether the wait was for something: one disk (`WAITAOF` counts disks and replicas) or one replica (`WAIT`)."""
    return bool((reply[0] if isinstance(reply, list) else reply) >= 1)


def _pushed(session_id: str, answer: list[Any]) -> Pushed:
    match answer[0]:
        case b"missing":
            raise NotFound(f"there is no session {session_id!r}")
        case b"closed":
            raise Closed(answer[1].decode() or None)
        case b"full":
            raise Retryable(f"the chat has {MAX_UNREAD} unread messages; wait for answers", after_s=5)
    return Pushed(
        seq=answer[1],
        out_cursor=answer[2],
        enqueue=answer[3] == 1,
        queue=answer[4].decode(),
        agent=answer[5].decode(),
        duplicate=answer[0] == b"duplicate",
    )
