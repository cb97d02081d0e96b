"""Abort signals: how a stop reaches everything that a turn started (named after the web's `AbortSignal`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from itertools import chain


class AbortSignal:
    """Tells that work should end. Read `aborted` anywhere, `await wait()` or `add_listener()` on the loop.

    Signals are aborted on the event loop's thread only; a synchronous agent in a thread may read `aborted`.
    """

    def __init__(self) -> None:
        self._reason: object = None
        self._aborted = False
        self._listeners: list[Callable[[], object]] = []

    @property
    def aborted(self) -> bool:
        return self._aborted

    @property
    def reason(self) -> object:
        """What `AbortController.abort` was given; `None` while not aborted."""
        return self._reason

    def add_listener(self, listener: Callable[[], object]) -> Callable[[], None]:
        """Call `listener` once on abort (at once if already aborted); returns a function that removes it."""
        if self._aborted:
            listener()
            return lambda: None
        self._listeners.append(listener)

        def remove() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return remove

    async def wait(self) -> object:
        """Return the reason once aborted."""
        if not self._aborted:
            fired = asyncio.get_running_loop().create_future()
            remove = self.add_listener(lambda: None if fired.done() else fired.set_result(None))
            try:
                await fired
            finally:
                remove()
        return self._reason

    @classmethod
    def any(cls, *signals: AbortSignal | Iterable[AbortSignal]) -> AbortSignal:
        """A signal that aborts with the first of `signals`, which may also be given as one list."""
        controller = AbortController()
        for source in chain.from_iterable([each] if isinstance(each, AbortSignal) else each for each in signals):
            source.add_listener(lambda source=source: controller.abort(source.reason))  # type: ignore[misc]
        return controller.signal


class AbortController:
    """Owns one `AbortSignal` and is the only thing that can abort it."""

    def __init__(self) -> None:
        self.signal = AbortSignal()

    def abort(self, reason: object = "aborted") -> None:
        """Abort the signal; the first reason stays, later calls do nothing."""
        signal = self.signal
        if signal._aborted:
            return
        signal._aborted = True
        signal._reason = reason
        listeners, signal._listeners = signal._listeners, []
        for listener in listeners:
            listener()
