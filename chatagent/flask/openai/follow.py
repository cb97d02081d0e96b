"""Waits for an answer on behalf of a request."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

from chatagent.errors import NotFound
from chatagent.flask import feed as feeds
from chatagent.flask.feed import AnswerFeed
from chatagent.record import is_raw
from chatagent.ui import decode

Chunk = dict[str, Any]


class Pace:
    """Says when a stream that has nothing to say must say something, so that a reader that left is noticed."""

    def __init__(self, keepalive_s: float) -> None:
        self._keepalive_s = keepalive_s
        self._told_s = time.monotonic()

    def fill(self, told: bytes) -> bytes:
        """What is sent: what there is, or a comment when all was quiet for long."""
        now_s = time.monotonic()
        if not told and now_s - self._told_s < self._keepalive_s:
            return b""
        self._told_s = now_s
        return told or b": keep-alive\n\n"


def follow(feed: AnswerFeed, wake: threading.Event, keepalive_s: float) -> Iterator[list[Chunk]]:
    """The chunks of the message as they come, an empty list when all is quiet for long. Closes the feed.

    Raises: NotFound when the answer has left the log.
    """
    for chunks in feeds.follow(feed, wake, keepalive_s):
        yield [decode(chunk) for chunk in chunks if not is_raw(chunk)]
    if feed.answer.trimmed:
        raise NotFound("the answer is no longer in the stream; read it from the chat's history")
