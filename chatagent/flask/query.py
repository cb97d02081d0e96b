"""Reads what requests say in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from chatagent.errors import BadRequest

_MAJORS: dict[str | None, Literal[5, 6, 7]] = {"5": 5, "6": 6, "7": 7}


def read_major(value: str | None, field: str) -> Literal[5, 6, 7] | None:
    """The generation of clients that reads, where it is said. Raises: BadRequest."""
    if value is not None and value not in _MAJORS:
        raise BadRequest("must be 5, 6 or 7", field=field)
    return _MAJORS.get(value)


def read_number(args: Mapping[str, str], *names: str, default: int, least: int, most: int) -> int:
    """The number under the first of these names that is there. Raises: BadRequest."""
    for name in names:
        value = args.get(name)
        if value is not None:
            if not (value.isascii() and value.isdigit()) or not least <= int(value) <= most:
                raise BadRequest(f"must be a number from {least} to {most}", field=name)
            return int(value)
    return default
