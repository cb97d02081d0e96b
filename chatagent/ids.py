"""Ids for messages, parts, runs and sessions: short, random, safe in URLs and keys."""

from __future__ import annotations

import secrets
import string

_ALPHABET = string.digits + string.ascii_letters


def new_id(prefix: str = "", size: int = 16) -> str:
    """A random id of `size` characters `[0-9A-Za-z]` after `prefix` (AI SDK ids are 16 long)."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(size))
