"""When members of an index are due, by the clock of Redis: those of machines differ, and jump."""

from __future__ import annotations

from chatagent.redis.script import Command, script


def due(index: str, *members: str, in_ms: int = 0, known: bool = False) -> Command:
    """Say that members are due so long from now; `known`: only those that are in the index."""
    return script("due")([index], [in_ms, "XX" if known else "", *members])


def overdue(index: str, *, late_ms: int, most: int) -> Command:
    """Read which members have been due for so long, oldest first."""
    return script("overdue")([index], [late_ms, most])


def forget(index: str, member: str, score: bytes | float) -> Command:
    """Drop a member, unless it was put there anew since its score was read."""
    seen = int(score) if float(score).is_integer() else score
    return script("forget")([index], [member, seen])
