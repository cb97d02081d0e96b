"""Head starts of chats: what an app's own server answers by itself, before a worker goes on with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import redis

from chatagent.redis.error import store_errors
from chatagent.redis.keys import Keys
from chatagent.ui import decode, encode_value

#: Seconds for which a head start may be handed over; and for which the server that made it may go on behind it, which
#: it does at once.
TTL_S, STEP_TTL_S = 3600, 120


@dataclass(frozen=True, slots=True)
class Step:
    """A step that was handed over: the first so many chunks of the turn that answers `seq`."""

    seq: int
    chunks: int


class HeadStarts:
    """The last head start of each chat."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self.client = client
        self.keys = keys

    def keep(self, session_id: str, asked: Mapping[str, Any]) -> None:
        """Remember what is being answered. Raises: StoreDown."""
        self._set(self.keys.head_start(session_id), asked, TTL_S)

    def find(self, session_id: str) -> dict[str, Any] | None:
        """What is being answered, if anything. Raises: StoreDown."""
        return self._get(self.keys.head_start(session_id))

    def note_step(self, session_id: str, step: Step) -> None:
        """Remember the step that was handed over. Raises: StoreDown."""
        self._set(self.keys.handed_over(session_id), {"seq": step.seq, "chunks": step.chunks}, STEP_TTL_S)

    def step(self, session_id: str) -> Step | None:
        """The step that was handed over last. Raises: StoreDown."""
        found = self._get(self.keys.handed_over(session_id))
        return None if found is None else Step(found["seq"], found["chunks"])

    def _set(self, key: str, value: Mapping[str, Any], ttl_s: int) -> None:
        with store_errors():
            self.client.set(key, encode_value(dict(value)), ex=ttl_s)

    def _get(self, key: str) -> dict[str, Any] | None:
        with store_errors():
            found = cast("bytes | None", self.client.get(key))
        return None if found is None else decode(found)
