"""What to write instead of a name that is not here: of an option or of something in `chat`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

#: What the AI chat docs of Trigger.dev and the AI SDK call it, in snake_case, and what it is called here.
_ELSEWHERE = {
    "abort_signal": "signal",
    "action_schema": "actions",
    "chat_access_token_ttl": "token_ttl",
    "client_data_schema": "client_data",
    "data_part_schemas": "data_parts",
    "idle_timeout_in_seconds": "idle_timeout",
    "warm_timeout": "idle_timeout",
    "warm_timeout_in_seconds": "idle_timeout",
    "retries": "max_attempts",
    "retry": "max_attempts",
    "token_expiration": "token_ttl",
    "ui_message_stream_options": "stream_options",
}
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def no_option(name: str, known: Iterable[str]) -> str:
    """Says that there is no option `name`, and which one is meant if that can be told."""
    meant = suggest(name, known)
    return f"has no option {name!r}" + (f": did you mean {meant}=?" if meant is not None else "")


def suggest(name: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `name` stands for."""
    among = sorted(known)
    snake = _CAPITAL.sub("_", name).lower()
    for guess in (name, snake, _ELSEWHERE.get(snake), snake.removesuffix("_in_seconds"), snake.removesuffix("_s")):
        if guess in among:
            return guess
    close = get_close_matches(snake, among, n=1, cutoff=0.75)
    return close[0] if close else None
