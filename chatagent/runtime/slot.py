"""A Celery slot, and how a turn that waits for something else gives its slot back while it lives on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar


class Slot:
    """The slot that a turn was started in. Once freed it is gone: the turn goes on without."""

    def __init__(self) -> None:
        #: Done when the slot is free.
        self.freed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def free(self) -> None:
        """End the Celery task; the turn and its lease go on."""
        if not self.freed.done():
            self.freed.set_result(None)


_current: ContextVar[Slot | None] = ContextVar("chatagent_slot", default=None)


def enter_slot(slot: Slot) -> None:
    """Make `slot` that of this context and of everything started from it."""
    _current.set(slot)


def release_slot() -> None:
    """Give back the slot that this code runs in; outside of a turn, and the second time, nothing happens."""
    slot = _current.get()
    if slot is not None:
        slot.free()


@asynccontextmanager
async def parked() -> AsyncIterator[None]:
    """Wait inside for what needs a slot itself, a child task above all.

    A hundred parents on a pool of ten would otherwise hold all slots that their children wait for.
    """
    release_slot()
    yield
