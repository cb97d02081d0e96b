"""Deep merge of message metadata, as clients do it (AI SDK reference §3.5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chatagent.errors import StreamError
from chatagent.ui.utf16 import units

#: Keys that JavaScript objects must not be given.
_FORBIDDEN = ("__proto__", "constructor", "prototype")


def merge_metadata(old: Any, new: Any) -> Any:
    """`new` over `old`: objects deeply, all else replaces; a `None` on either side is nothing.

    Raises: StreamError when `old` is a scalar and `new` brings keys, where JavaScript throws.
    """
    if new is None:
        return old
    return new if old is None else _merge(old, new)


def _merge(old: Any, new: Any) -> dict[str, Any]:
    merged = dict(_entries(old))
    for key, value in _entries(new):
        if key in _FORBIDDEN:
            continue
        if not isinstance(old, dict | list):
            raise StreamError("metadata that is not an object cannot take keys", chunk_type="message-metadata")
        before = merged.get(key)
        merged[key] = _merge(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return merged


def _entries(value: Any) -> Iterable[tuple[str, Any]]:
    """The own properties that JavaScript sees: of arrays and strings the indexes, of other scalars none."""
    if isinstance(value, dict):
        return value.items()
    if isinstance(value, list | str):
        items = units(value) if isinstance(value, str) else value
        return ((str(index), item) for index, item in enumerate(items))
    return ()
