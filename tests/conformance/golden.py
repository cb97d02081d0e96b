"""The cases, and what the published packages made of them: one JSON per line, joined by place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_DATA = Path(__file__).parent / "data"


def read(name: str) -> list[dict[str, Any]]:
    """The lines of `data/<name>.ndjson`."""
    # Not splitlines(): some cases hold U+2028.
    text = (_DATA / f"{name}.ndjson").read_bytes().decode()
    return [json.loads(line) for line in text.split("\n") if line]


def pairs(cases: str, goldens: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each case with its golden."""
    joined = list(zip(read(cases), read(goldens), strict=True))
    assert all(case["name"] == golden["name"] for case, golden in joined)
    return joined
