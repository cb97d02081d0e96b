"""Durations as authors write them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chatagent.duration import seconds
from chatagent.errors import ConfigError


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (90, 90),
        (0.5, 0.5),
        (timedelta(minutes=2), 120),
        ("250ms", 0.25),
        ("30s", 30),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("1hr", 3600),
        ("24 hours", 86400),
        ("10min", 600),
        ("2 Days", 172800),
        ("1.5w", 907200),
        ("1 minute 5 seconds", 65),
    ],
)
def test_a_duration_may_be_written_as_people_do(written: Any, expected: float) -> None:
    assert seconds(written) == expected


@pytest.mark.parametrize(
    "written", [None, True, "", "3600", "1x", "h", "1h,", "-5s", -1, float("nan"), float("inf"), []]
)
def test_what_is_no_duration_is_refused_with_the_mend(written: Any) -> None:
    with pytest.raises(ConfigError, match=r"duration"):
        seconds(written)
