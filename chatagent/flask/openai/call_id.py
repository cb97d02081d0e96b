"""Tool call ids that know their session, so that a client without a session id can answer a call in its chat."""

from __future__ import annotations

from chatagent.redis.session import ID_PREFIX

_BETWEEN = "~"


def told_call_id(call_id: str, session_id: str) -> str:
    """The id of a call as clients see it."""
    return f"{call_id}{_BETWEEN}{session_id.removeprefix(ID_PREFIX)}"


def bare_call_id(told: str) -> str:
    """The agent's own id of a call."""
    return told.rpartition(_BETWEEN)[0] or told


def session_of(told: str) -> str | None:
    """The session in which a call waits; None for a call that is not ours."""
    before, _, session = told.rpartition(_BETWEEN)
    return f"{ID_PREFIX}{session}" if before else None
