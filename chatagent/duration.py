"""Durations as authors write them: seconds, a timedelta, or text such as "30s", "1h" or "1h30m"."""

from __future__ import annotations

import re
from datetime import timedelta

from chatagent.errors import ConfigError

Duration = float | str | timedelta

_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
#: Units as people write them out.
_WORDS = {"sec": "s", "second": "s", "min": "m", "minute": "m", "hr": "h", "hour": "h", "day": "d", "week": "w"}
_PIECE = re.compile(r"(\d+(?:\.\d+)?)([a-z]+)")


def seconds(duration: Duration) -> float:
    """The seconds of a duration. Raises: ConfigError."""
    if isinstance(duration, timedelta):
        value = duration.total_seconds()
    elif isinstance(duration, str):
        text = duration.replace(" ", "").lower()
        pieces = [(number, _WORDS.get(unit.removesuffix("s"), unit)) for number, unit in _PIECE.findall(text)]
        if not pieces or _PIECE.sub("", text) or not all(unit in _UNIT_S for _, unit in pieces):
            raise ConfigError(f"{duration!r} is no duration: write seconds, or text such as '30s', '1h' or '1h30m'")
        value = sum(float(number) * _UNIT_S[unit] for number, unit in pieces)
    elif isinstance(duration, int | float) and not isinstance(duration, bool):
        value = float(duration)
    else:
        raise ConfigError(f"a duration cannot be {duration!r}: write seconds, a timedelta, or text such as '1h'")
    if not 0 <= value < float("inf"):
        raise ConfigError(f"a duration cannot be {duration!r}: it must be 0 or more seconds")
    return value
