"""Everything that chats have said: an outbox keeps its last turn only, a test may ask for all of them."""

from __future__ import annotations

import threading

from chatagent.record import OutRecord
from chatagent.redis.outbox import Outbox


class Logs:
    """The whole logs of chats, by session. Safe to use from several threads."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._lock = threading.Lock()
        self._known: dict[str, list[OutRecord]] = {}

    def read(self, session_id: str) -> list[OutRecord]:
        """All records until now; to be called after every commit, before the next one drops what came before it."""
        with self._lock:
            known = self._known.setdefault(session_id, [])
            while page := self._outbox.read(session_id, known[-1].seq if known else -1):
                known += page
            return list(known)
