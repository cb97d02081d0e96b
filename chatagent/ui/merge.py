"""Deep merge of message metadata, as clients do it."""

from __future__ import annotations

from typing import Any

from chatagent.errors import StreamError

#: Keys that JavaScript objects must not be given.
_FORBIDDEN = ("__proto__", "constructor", "prototype")


def merge_metadata(old: Any, new: Any) -> Any:
    """`new` over `old`: objects merge key by key, everything else replaces. Raises: StreamError."""
    if not isinstance(old, dict):
        if isinstance(new, dict) and not isinstance(old, list):
            raise StreamError("metadata that is not an object cannot take keys", chunk_type="message-metadata")
        return new
    if not isinstance(new, dict):
        return new
    merged = dict(old)
    for key, value in new.items():
        if key in _FORBIDDEN:
            continue
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge_metadata(merged[key], value) if both else value
    return merged
