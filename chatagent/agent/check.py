"""Checks that agents, tasks and locals share: their ids, and what of a value does not fit a type."""

from __future__ import annotations

import re

from pydantic import ValidationError

from chatagent.errors import ConfigError

#: Ids are names of Celery tasks and part of token scopes.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def checked_id(kind: str, id: str) -> str:
    """The id of an agent or a task (`kind` says which). Raises: ConfigError."""
    if not _ID.fullmatch(id):
        raise ConfigError(f"{kind} id {id!r}: use letters, digits, '.', '_' and '-', at most 128")
    return id


def first_fault(error: ValidationError, *head: str) -> tuple[str, str]:
    """The first thing that does not fit: its place behind `head`, with dots, and why."""
    fault = error.errors(include_url=False, include_input=False)[0]
    return ".".join(map(str, (*head, *fault["loc"]))), fault["msg"]
