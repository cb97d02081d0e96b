"""The claim of a turn: what is asked, and how its answer reads. (The worker sends it through `lease`.)"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import orjson

from chatagent.ids import new_id
from chatagent.record import Busy
from chatagent.redis.entry import read_inbox_entry
from chatagent.redis.keys import Keys
from chatagent.redis.script import Command, script
from chatagent.redis.session import pairs
from chatagent.runtime.port import Cause, Claim, RunState, SessionKind
from chatagent.ui import decode

#: Unread records behind the claimed one that a claim brings along.
MAX_WAITING = 100


@dataclass(frozen=True, slots=True)
class Holder:
    """Who takes a lease: a process that calls itself `owner`, for `lease_ms` at a time."""

    owner: str
    lease_ms: int


def claim_command(
    keys: Keys, session_id: str, holder: Holder, *, known_epoch: int = -1, busy: Busy = "enqueue"
) -> Command:
    """Take the lease of a session; `read_claim` reads the answer. The same command again gets the same answer."""
    names = [
        keys.session(session_id),
        keys.inbox(session_id),
        keys.outbox(session_id),
        keys.history(session_id),
        keys.edits(session_id),
        keys.injected(session_id),
    ]
    args = [
        holder.owner,
        holder.lease_ms,
        known_epoch,
        new_id("run_"),
        keys.out_channel(session_id),
        new_id(),
        busy,
        MAX_WAITING,
    ]
    return script("claim")(names, args)


def read_claim(answer: list[Any]) -> Claim | None:
    """The claim that was answered; None when another holds the lease, nothing is unread or there is no session."""
    if answer[0] != b"ok":
        return None
    _, flat, entry, stopped, forgotten, history, tail, waiting, edited, injected = answer
    fields: Mapping[bytes, bytes] = pairs(flat)
    edits = pairs(edited)

    def text(name: bytes) -> str | None:
        value = fields.get(name)
        return value.decode() if value else None

    def json(name: bytes, default: bytes) -> Any:
        return orjson.loads(fields.get(name) or default)

    run_state = cast(RunState, text(b"run_state"))
    return Claim(
        session_id=fields[b"id"].decode(),
        chat_id=fields[b"ext"].decode(),
        agent=fields[b"agent"].decode(),
        epoch=int(fields[b"epoch"]),
        turn=int(fields[b"turn"]),
        attempt=int(fields[b"attempts"]),
        record=read_inbox_entry(entry, edits),
        stopped=stopped == 1,
        history=None if run_state == "warm" else [decode(message) for message in history],
        tail=list(tail),
        run_id=text(b"run_id") or "",
        previous_run_id=text(b"previous_run_id"),
        user=text(b"user"),
        title=text(b"title"),
        tags=tuple(json(b"tags", b"[]")),
        metadata=json(b"metadata", b"null"),
        locals=json(b"locals", b"{}"),
        usage=json(b"usage", b"{}"),
        run_state=run_state,
        run_turn=int(fields.get(b"run_turns", 0)),
        preloaded=fields.get(b"preloaded") == b"1",
        chat_started=fields.get(b"chat_started") == b"1",
        cause=cast("Cause | None", text(b"cause")),
        forgotten=forgotten == 1,
        waiting=tuple(read_inbox_entry(each, edits) for each in waiting),
        merged=tuple(json(b"merged", b"[]")),
        injected=tuple(orjson.loads(message) for message in injected),
        lane=json(b"lane", b"{}"),
        kind=cast(SessionKind, text(b"kind") or "agent"),
    )
