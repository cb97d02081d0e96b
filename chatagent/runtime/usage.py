"""Adding up what model calls used: tokens and cost, in whatever detail a provider gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def add_usage(total: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """The sum, field by field; a field that only one of them has is kept as it is."""
    found = dict(total)
    for name, value in more.items():
        known = found.get(name)
        if isinstance(value, Mapping):
            found[name] = add_usage(known if isinstance(known, Mapping) else {}, value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[name] = (known if isinstance(known, int | float) else 0) + value
        elif known is None:
            found[name] = value
    return found
