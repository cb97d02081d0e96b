"""What the chats of a listing do now: the message that one of them changed, and how it is read.

Whoever changes a chat publishes its id once for each listing that it stands in. The message is a hint: who hears it
reads the session, and who may have missed one lists anew.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import orjson
import redis

from chatagent.redis.doorbell import tell_feeds, tell_queue
from chatagent.redis.error import store_errors
from chatagent.redis.keys import Keys
from chatagent.redis.listing import Listings, Place, labels
from chatagent.redis.script import Command, run
from chatagent.redis.session import Session, pairs, read_session
from chatagent.runtime.port import Commit
from chatagent.ui.reading import waiting_calls
from chatagent.ui.tool_part import tool_name

#: What a chat does: nothing yet, waits for a worker, is being answered; how its last answer ended; or closed.
State = Literal["new", "queued", "running", "completed", "waiting", "stopped", "failed", "closed"]


@dataclass(frozen=True, slots=True)
class Activity:
    """A chat as its feed shows it; `waiting` holds the tool calls that wait for the client."""

    session: Session
    state: State
    waiting: list[dict[str, Any]]


def active(keys: Keys, session: Session) -> list[Command]:
    """The commands that put a chat on top of its listings, and tell their feeds and its own readers.

    Runs of tasks have no feeds.
    """
    now = int(time.time() * 1000)
    stands = labels(session.agent, session.user, session.tags, session.kind)
    return [
        *[("ZADD", keys.listing(*label), "XX", now, session.id) for label in stands],
        *tell_feeds(keys, session.id, [] if session.kind == "task" else stands),
        tell_queue(keys, session.id),
    ]


def outcome_fields(commit: Commit) -> dict[str, bytes]:
    """Fields of a session that say how its last turn ended; none when it stands as before."""
    outcome = str(commit.headers.get("outcome", "completed"))
    new = bool(commit.changes.replaced or commit.changes.appended)
    if commit.silent or (not new and (outcome == "waiting" or not commit.counts)):
        return {}
    last = commit.changes.last or {}
    calls = waiting_calls(last) if last.get("role") == "assistant" else []
    if calls and (outcome == "completed" or (outcome == "stopped" and not new)):
        # Also when an earlier answer was gone on with, or when what came after it was taken back.
        outcome = "waiting"
    shown = [_call(part) for part in calls] if outcome == "waiting" else []
    return {"outcome": outcome.encode(), "waiting": orjson.dumps(shown)}


def _call(part: dict[str, Any]) -> dict[str, Any]:
    return {"toolCallId": part.get("toolCallId"), "toolName": tool_name(part), "state": part.get("state")}


def read_activity(fields: Any) -> Activity:
    """What a chat does, from its hash."""
    found = pairs(fields)
    session = read_session(found)
    outcome = found.get(b"outcome", b"").decode()
    waiting: list[dict[str, Any]] = orjson.loads(found.get(b"waiting") or b"[]")
    state = _state(session, outcome)
    return Activity(session, state, waiting if state == "waiting" else [])


def _state(session: Session, outcome: str) -> State:
    if session.closed:
        return "closed"
    if session.status == "running" or session.status == "queued":
        return session.status
    match outcome:
        case "completed" | "waiting" | "stopped" | "failed":
            return outcome
    return "new"


def read_activities(client: redis.Redis, keys: Keys, session_ids: Sequence[str]) -> list[Activity]:
    """What these chats do, in one round trip; those that are gone are left out. Raises: StoreDown."""
    with store_errors():
        rows = run(client, *[("HGETALL", keys.session(session_id)) for session_id in session_ids])
    return [read_activity(row) for row in rows if row]


def list_activities(
    listings: Listings, *label: str, limit: int, cursor: Place | None = None
) -> tuple[list[Activity], Place | None]:
    """The chats of a listing, last active first, and the place after which more come. Raises: StoreDown."""
    listed = list(islice(listings.walk(*label, cursor=cursor), limit + 1))
    more = len(listed) > limit
    ids = [each.session.id for each in listed[:limit]]
    found = read_activities(listings.client, listings.keys, ids) if ids else []
    return found, listed[limit - 1].place if more else None
