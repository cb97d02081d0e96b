"""Places where the world stands still until the test lets it go on: no sleeps, no races."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


@dataclass(eq=False)
class _Held:
    """Something that stands still."""

    where: str
    loop: asyncio.AbstractEventLoop
    free: asyncio.Event = field(default_factory=asyncio.Event)


class Holds:
    """What is held on the loop, seen from the test's thread. `settle` lets all that is under way come to rest."""

    def __init__(self, settle: Callable[[], Awaitable[None]]) -> None:
        self._settle = settle
        self._changed = threading.Condition()
        self._held: list[_Held] = []
        self._wanted: list[str] = []

    def at(self, place: str) -> None:
        """Hold whoever comes to this place next, once."""
        with self._changed:
            self._wanted.append(place)

    async def reach(self, place: str) -> None:
        """Code on the loop comes to a place; it is held if that is wanted."""
        with self._changed:
            if place not in self._wanted:
                return
            self._wanted.remove(place)
        await self.hold(place)

    async def hold(self, where: str) -> None:
        """Stand still until `release`."""
        held = _Held(where, asyncio.get_running_loop())
        await self._settle()
        with self._changed:
            self._held.append(held)
            self._changed.notify_all()
        try:
            await held.free.wait()
        finally:
            with self._changed:
                if held in self._held:
                    self._held.remove(held)

    @property
    def held(self) -> list[str]:
        """Where things stand still."""
        with self._changed:
            return [each.where for each in self._held]

    def wait(self, timeout_s: float) -> str | None:
        """Wait until something stands still, and tell where; None when nothing does in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._held, timeout_s)
            return self._held[0].where if self._held else None

    def release(self) -> bool:
        """Let all that stands still go on; whether there was anything."""
        with self._changed:
            held, self._held = self._held, []
        for each in held:
            each.loop.call_soon_threadsafe(each.free.set)
        return bool(held)
