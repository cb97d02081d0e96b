"""What the runtime needs of sessions that somebody else holds: children, and the parents that they write to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from chatagent.child import Ended, NewRun
from chatagent.record import OutRecord


@dataclass(frozen=True, slots=True)
class Asked:
    """A message that is in a chat: its `seq`, and `cursor`, before anything of its answer; or the `answer` itself.

    With a `queue` the caller must enqueue the session.
    """

    session_id: str
    seq: int = -1
    cursor: int = -1
    answer: dict[str, Any] | None = None
    queue: str | None = None


class ChildStore(Protocol):
    """Sessions that somebody else holds. Every call may be repeated and raises StoreDown when there is no answer."""

    def follow(self, session_id: str, *, ends_only: bool = False) -> AbstractAsyncContextManager[asyncio.Event]:
        """An event that is set when there may be something new; `ends_only`: when a turn may have ended."""

    async def start(self, run: NewRun, trace: Mapping[str, Any], queue: str) -> bool:
        """Make the session of a run; False when it is there."""

    async def ended(self, session_id: str) -> Ended | None:
        """How a run ended; None while it has not. Raises: NotFound."""

    async def keep(self, session_id: str, ttl_s: float) -> None:
        """Forget an ended run after `ttl_s` seconds."""

    async def append(
        self, session_id: str, turn: int | None, writer: str, number: int, records: Sequence[bytes]
    ) -> bool:
        """Write raw records while a turn runs; False when none does, or another."""

    async def inject(self, session_id: str, messages: Sequence[Mapping[str, Any]], key: str) -> None:
        """Put model messages into another chat, once per key. Raises: NotFound."""

    async def progress(self, session_id: str) -> tuple[int, int | None]:
        """After which seq the current turn's records begin (the last one's, when none runs), and where they end."""

    async def records(self, session_id: str, after: int) -> list[OutRecord]:
        """Records after a seq, one page of them."""

    async def ask(
        self, chat_id: str, agent: str, queue: str, user: str | None, message: Mapping[str, Any], metadata: Any
    ) -> Asked:
        """Send a user's message to a chat, unless it was sent before."""

    async def stop(self, session_id: str) -> None:
        """Stop what runs or waits in a session. Raises: NotFound, Closed."""

    async def close(self) -> None:
        """Drop all connections."""
