"""When an author's code blocks the event loop: the leases of its process are kept, and the code is named.

Without this one `time.sleep` in a tool would cost all chats of the process their turns, and the next worker theirs.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback

from chatagent.errors import StoreDown
from chatagent.runtime.lease import Leases
from chatagent.runtime.port import Store

logger = logging.getLogger(__name__)

#: Lines of the stack that are logged.
_LINES = 12
#: Seconds of silence that any busy machine may bring about.
_BUSY_S = 1.0


class Watchdog:
    """A thread beside the loop.

    `blocked_s` is the longest time for which it believes in a loop that is silent.
    """

    def __init__(self, leases: Leases, store: Store, heartbeat_s: float, blocked_s: float) -> None:
        self._leases = leases
        self._store = store
        self._heartbeat_s = heartbeat_s
        self._blocked_s = blocked_s
        self._beat = time.monotonic()
        self._told = False
        self._ended = threading.Event()

    async def run(self) -> None:
        """Watch for ever; cancel to end."""
        loop, place = asyncio.get_running_loop(), threading.get_ident()
        self._beat = time.monotonic()
        thread = threading.Thread(target=self._main, args=(loop, place), name="chatagent-watchdog", daemon=True)
        thread.start()
        try:
            while True:
                self._beat = time.monotonic()
                await asyncio.sleep(self._heartbeat_s / 2)
        finally:
            self._ended.set()
            thread.join(_BUSY_S)

    def _main(self, loop: asyncio.AbstractEventLoop, place: int) -> None:
        while not self._ended.wait(self._heartbeat_s / 2) and not loop.is_closed():
            late_s = time.monotonic() - self._beat
            if not loop.is_running() or late_s < max(self._heartbeat_s, _BUSY_S):
                self._told = False
            elif late_s < self._blocked_s:
                self._keep(late_s, place)

    def _keep(self, late_s: float, place: int) -> None:
        if not self._told:
            self._told = True
            frame = sys._current_frames().get(place)
            stack = "".join(traceback.format_stack(frame)[-_LINES:]) if frame is not None else ""
            logger.error("the event loop is blocked, all chats of this worker wait; leases are kept\n%s", stack)
        try:
            self._store.keep([active.claim for active in self._leases if not active.committed])
        except StoreDown:
            logger.warning("leases not kept, Redis is away", extra={"blocked_s": round(late_s, 1)})
