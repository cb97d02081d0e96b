"""Reads numbers out of query strings."""

from __future__ import annotations

from collections.abc import Mapping

from chatagent.errors import BadRequest


def read_number(args: Mapping[str, str], *names: str, default: int, least: int, most: int) -> int:
    """The number under the first of these names that is there. Raises: BadRequest."""
    for name in names:
        value = args.get(name)
        if value is not None:
            if not (value.isascii() and value.isdigit()) or not least <= int(value) <= most:
                raise BadRequest(f"must be a number from {least} to {most}", field=name)
            return int(value)
    return default
