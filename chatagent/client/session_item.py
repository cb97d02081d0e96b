"""A session as the gateway tells it, typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

#: Marks a cursor of ours that leads back.
BEFORE = "before:"


@dataclass(frozen=True, slots=True)
class SessionItem:
    """One session. `status` is `idle`, `queued`, `running`, `closed` or `expired`."""

    id: str
    chat_id: str
    agent: str
    status: str
    created_at: datetime
    updated_at: datetime
    turn: int = 0
    title: str | None = None
    user: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] | None = None
    run_id: str | None = None
    closed_at: datetime | None = None
    closed_reason: str | None = None
    expires_at: datetime | None = None
    #: Of a start: it was made now; and the token for a browser that the gateway gave.
    created: bool = False
    token: str | None = None


@dataclass(frozen=True, slots=True)
class SessionPage:
    """Sessions of one page, and the cursors of its neighbours; None where there is none."""

    sessions: tuple[SessionItem, ...]
    next: str | None = None
    previous: str | None = None


def read_item(told: Mapping[str, Any]) -> SessionItem:
    """A session from the gateway's answer."""
    closed_at = _time(told["closedAt"]) if told["closedAt"] else None
    expires_at = _time(told["expiresAt"]) if told["expiresAt"] else None
    status = "expired" if expires_at is not None and expires_at <= datetime.now(UTC) else told["status"]
    return SessionItem(
        id=told["id"],
        chat_id=told["externalId"] or told["id"],
        agent=told["taskIdentifier"],
        status="closed" if closed_at is not None else status,
        expires_at=expires_at,
        created_at=_time(told["createdAt"]),
        updated_at=_time(told["updatedAt"]),
        turn=told["turn"],
        title=told["title"],
        user=told["user"],
        tags=tuple(told["tags"]),
        metadata=told["metadata"],
        run_id=told.get("runId", told["currentRunId"]),
        closed_at=closed_at,
        closed_reason=told["closedReason"],
        created=told.get("isCached") is False,
        token=told.get("publicAccessToken"),
    )


def read_page(told: Mapping[str, Any]) -> SessionPage:
    """A page from the gateway's answer."""
    pages = told["pagination"]
    previous = pages.get("previous")
    return SessionPage(
        tuple(read_item(each) for each in told["data"]),
        pages.get("next"),
        None if previous is None else f"{BEFORE}{previous}",
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
