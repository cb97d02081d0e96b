"""The inbox from the gateway's side: put what a client sent where the worker will find it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import redis

from chatagent.errors import BadRequest, Closed, NotFound, Retryable
from chatagent.errors import Busy as BusyError
from chatagent.ids import new_id
from chatagent.record import Busy, InRecord, Kind
from chatagent.redis.doorbell import tell_queue
from chatagent.redis.due import due
from chatagent.redis.entry import is_taken, read_inbox_entry
from chatagent.redis.error import store_errors
from chatagent.redis.feed import active
from chatagent.redis.injection import inject_command
from chatagent.redis.keys import Keys
from chatagent.redis.script import Command, run, script
from chatagent.redis.session import Session
from chatagent.ui import encode_value

#: Seconds for which a part id is remembered.
PART_TTL_S = 300
#: A chat takes no more unread messages than this.
MAX_UNREAD = 1000
#: Milliseconds after which a task that never came is sent again by the next message (the sweeper is sooner).
_TASK_OVERDUE_MS = 30_000
#: Milliseconds that a send waits for the disk or a replica.
_DURABLE_WAIT_MS = 2000

#: Seconds that a cancellation is remembered in a chat that went idle by it.
_CANCELLED_S = 60

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
        busy: Busy | None = None,
        stops: int | None = None,
        session: Session | None = None,
    ) -> Pushed:
        """Add one record. The same `part_id` again within 5 minutes adds nothing and gets the same answer.

        `busy` says what shall happen if the chat is busy (None: what its agent says); it counts for new messages of
        users alone, all else is enqueued. A preload of a chat that has begun adds nothing, like a repeated send.
        A stop is for the record `stops`, else for whatever is being answered, or is next.
        With `session`, as the caller knows it, its listings and their feeds are told.
        The sweeper's index is written before the record, so that a task is sent even if we die in between.
        Raises: NotFound (also when `stops` is not what is being answered), Closed, Busy, Retryable (too many unread
        messages), StoreDown.
        """
        keys = [
            self.keys.session(session_id),
            self.keys.inbox(session_id),
            self.keys.part(session_id, part_id or new_id()),
        ]
        bells, policy = self.keys.worker_channel(""), _policy(kind, payload, busy)
        args = [kind, encode_value(payload), PART_TTL_S, MAX_UNREAD, bells, _TASK_OVERDUE_MS, policy]
        args.append("" if stops is None else stops)
        with store_errors():
            _, answer, *further = run(
                self.client,
                due(self.keys.queued, session_id),
                script("push")(keys, args),
                *self._wait(),
                *([] if session is None or session.closed else active(self.keys, session)),
            )
        pushed = _pushed(session_id, answer)
        if self.durability != "memory" and not _is_kept(further[0]):
            raise Retryable("the message is not yet where it must be before we confirm it; send it again")
        return pushed

    def read(self, session_id: str, after: int) -> list[InRecord]:
        """The records after a seq that are still kept, as they were sent. Raises: StoreDown."""
        with store_errors():
            entries = self.client.xrange(self.keys.inbox(session_id), min=f"{after + 2}-0")
        return [read_inbox_entry(entry) for entry in cast("list[Any]", entries)]

    def queue(self, session_id: str) -> list[InRecord]:
        """What waits in a chat and can still be changed, oldest first. Raises: NotFound, StoreDown."""
        fields, entries, edits = self._read(session_id)
        cursor = int(fields[b"in_cursor"])
        waiting = [read_inbox_entry(entry, edits) for entry in entries]
        return [
            each for each in waiting if each.seq > cursor and each.kind != "stop" and not is_taken(fields, each.seq)
        ]

    def edit(
        self,
        session_id: str,
        ref: int | str,
        payload: Mapping[str, Any] | None = None,
        busy: Busy | None = None,
        *,
        session: Session | None = None,
    ) -> None:
        """Change a message that waits, by its seq or message id; it keeps its place.

        Raises: NotFound (also when it is being answered), BadRequest, StoreDown.
        """
        if busy == "reject":
            raise BadRequest("a message that waits cannot be rejected; cancel it", field="busy")
        encoded = "" if payload is None else encode_value(payload)
        bells = self.keys.worker_channel("")
        self._change("edit", session_id, ref, [encoded, busy or "", bells], session)

    def cancel(self, session_id: str, ref: int | str, *, session: Session | None = None) -> None:
        """Take out a message that waits, by its seq or message id. Raises: NotFound (also when it is being answered).

        Readers who wait for its answer are told by a `message-cancelled` record.
        """
        self._change("cancel", session_id, ref, [_CANCELLED_S, self.keys.out_channel(session_id)], session)

    def inject(self, session_id: str, messages: Sequence[Mapping[str, Any]], *, key: str | None = None) -> None:
        """Put model messages where a running turn finds them between two steps, else the next turn.

        The same `key` within an hour adds nothing. Raises: NotFound, StoreDown.
        """
        with store_errors():
            (answer,) = run(self.client, inject_command(self.keys, session_id, messages, key=key))
        if answer[0] == b"missing":
            raise NotFound(f"there is no session {session_id!r}")

    def _change(self, verb: str, session_id: str, ref: int | str, args: list[Any], session: Session | None) -> None:
        seq = self._find(session_id, ref)
        keys = self.keys
        names = [keys.session(session_id), keys.inbox(session_id), keys.edits(session_id), keys.outbox(session_id)]
        told: list[Command] = [tell_queue(keys, session_id)] if session is None else active(keys, session)
        with store_errors():
            answer, *_ = run(self.client, script(verb)(names, [seq, new_id(), *args]), *told)
        if answer[0] != b"ok":
            raise _gone(ref)

    def _find(self, session_id: str, ref: int | str) -> int:
        """The seq of a message that waits."""
        if isinstance(ref, int):
            return ref
        _, entries, edits = self._read(session_id)
        records = (read_inbox_entry(entry, edits) for entry in entries)
        found = next((record.seq for record in records if _message_id(record) == ref), None)
        if found is None:
            raise _gone(ref)
        return found

    def _read(self, session_id: str) -> tuple[Mapping[bytes, bytes], list[Any], Mapping[bytes, bytes]]:
        """A session's fields, its inbox and what was edited there, as they are at one moment."""
        with store_errors(), self.client.pipeline(transaction=True) as pipe:
            pipe.hgetall(self.keys.session(session_id))
            pipe.xrange(self.keys.inbox(session_id))
            pipe.hgetall(self.keys.edits(session_id))
            fields, entries, edits = pipe.execute()
        if not fields:
            raise NotFound(f"there is no session {session_id!r}")
        return fields, entries, edits

    def _wait(self) -> list[tuple[Any, ...]]:
        if self.durability == "disk":
            return [("WAITAOF", 1, 0, _DURABLE_WAIT_MS)]
        if self.durability == "replica":
            return [("WAIT", 1, _DURABLE_WAIT_MS)]
        return []


def _policy(kind: Kind, payload: Mapping[str, Any], busy: Busy | None) -> str:
    """The busy policy of a record; '' for its session's own."""
    record = InRecord(-1, kind, cast("dict[str, Any]", payload))
    return "enqueue" if record.user_message is None else busy or ""


def _message_id(record: InRecord) -> str | None:
    found = (record.payload.get("message") or {}).get("id")
    return found if isinstance(found, str) else None


def _gone(ref: int | str) -> NotFound:
    return NotFound(f"no message {ref!r} waits in this chat; it is being answered, or was")


def _is_kept(reply: Any) -> bool:
    """Whether the wait was for something: one disk (`WAITAOF` counts disks and replicas) or one replica (`WAIT`)."""
    return bool((reply[0] if isinstance(reply, list) else reply) >= 1)


def _pushed(session_id: str, answer: list[Any]) -> Pushed:
    match answer[0]:
        case b"missing":
            raise NotFound(f"there is no session {session_id!r}")
        case b"closed":
            raise Closed(answer[1].decode() or None)
        case b"busy":
            raise BusyError("the chat is busy; send again when its answer has ended")
        case b"other":
            raise NotFound("this message is not being answered")
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
