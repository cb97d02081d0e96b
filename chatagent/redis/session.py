"""A session as its hash in Redis tells it. Who changes it: `sessions` for the gateway, `lease` for the worker."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import orjson

from chatagent.record import Busy
from chatagent.runtime.port import SessionKind

Status = Literal["idle", "queued", "running"]
#: What a listing can be narrowed to: `waiting` for the user (an approval, the answer to a tool call), `closed`, else
#: the status.
Standing = Literal["idle", "queued", "running", "waiting", "closed"]

#: Session ids start with this; an app's own chat id must not.
ID_PREFIX = "session_"
#: Reason of a session that took its time; `create.lua` and `push.lua` say it too.
EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Session:
    """The durable conversation as it stands; times in ms since 1970, seqs -1 while there is no record."""

    id: str
    chat_id: str
    agent: str
    status: Status
    in_seq: int
    in_cursor: int
    out_seq: int
    complete_seq: int
    turn: int
    created_at_ms: int
    updated_at_ms: int
    user: str | None = None
    title: str | None = None
    run_id: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Any = None
    trigger_config: dict[str, Any] = field(default_factory=dict)
    usage: dict[str, Any] = field(default_factory=dict)
    closed_at_ms: int | None = None
    closed_reason: str | None = None
    kind: SessionKind = "agent"
    busy: Busy = "enqueue"
    #: How the last turn ended (`completed`, `stopped`, `failed`), or that it waits for the user (`waiting`).
    outcome: str | None = None
    previous_run_id: str | None = None
    #: Turns of the run, and when it is over unless another comes (0: it is).
    run_turns: int = 0
    run_until_ms: int = 0
    #: The inbox record whose answer was stopped last and has not ended yet.
    stop_seq: int = -1
    #: The run is in no process: whoever takes the next message resumes it.
    suspended: bool = False
    preloaded: bool = False
    #: When it takes no more; from then on it counts as closed, with the reason `expired`.
    expires_at_ms: int | None = None

    @property
    def expired(self) -> bool:
        return self.closed_at_ms is not None and self.closed_at_ms == self.expires_at_ms

    @property
    def closed(self) -> bool:
        return self.closed_at_ms is not None

    @property
    def standing(self) -> Standing:
        if self.closed:
            return "closed"
        return "waiting" if self.status == "idle" and self.outcome == "waiting" else self.status


def read_session(fields: Mapping[bytes, bytes]) -> Session:
    """A session from its hash."""

    def text(name: str) -> str | None:
        value = fields.get(name.encode())
        return value.decode() if value else None

    def number(name: str) -> int:
        return int(fields.get(name.encode()) or -1)

    def json(name: str, default: Any) -> Any:
        value = fields.get(name.encode())
        return orjson.loads(value) if value else default

    expires_at_ms = number("expires_at") if text("expires_at") else None
    closed_at_ms = number("closed_at") if text("closed_at") else None
    closed_reason = text("closed_reason")
    if closed_at_ms is None and expires_at_ms is not None and expires_at_ms <= time.time() * 1000:
        closed_at_ms, closed_reason = expires_at_ms, EXPIRED
    return Session(
        id=text("id") or "",
        chat_id=text("ext") or "",
        agent=text("agent") or "",
        status=cast(Status, text("status") or "idle"),
        in_seq=number("in_seq"),
        in_cursor=number("in_cursor"),
        out_seq=number("out_seq"),
        complete_seq=number("complete_seq"),
        turn=number("turn"),
        created_at_ms=number("created_at"),
        updated_at_ms=number("updated_at"),
        user=text("user"),
        title=text("title"),
        run_id=text("run_id"),
        tags=tuple(json("tags", ())),
        metadata=json("metadata", None),
        trigger_config=json("trigger_config", {}),
        usage=json("usage", {}),
        closed_at_ms=closed_at_ms,
        closed_reason=closed_reason,
        expires_at_ms=expires_at_ms,
        kind=cast(SessionKind, text("kind") or "agent"),
        busy=cast(Busy, text("busy") or "enqueue"),
        outcome=text("outcome"),
        previous_run_id=text("previous_run_id"),
        stop_seq=number("stop_seq"),
        run_turns=max(0, number("run_turns")),
        run_until_ms=max(0, number("run_until")),
        suspended=text("suspended") == "1",
        preloaded=text("preloaded") == "1",
    )


def pairs(reply: Mapping[bytes, bytes] | Sequence[bytes]) -> Mapping[bytes, bytes]:
    """HGETALL's reply as a mapping, which a raw command answers as a flat list."""
    if isinstance(reply, Mapping):
        return reply
    return dict(zip(reply[::2], reply[1::2], strict=True))
