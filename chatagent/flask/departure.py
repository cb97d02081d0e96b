"""The end of a gateway's process, as streams without an end learn of it: their readers come back to another one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Departure:
    """`begun` says that the process must end; those who wait inside of `heeded` are woken then."""

    def __init__(self) -> None:
        self.begun = False
        self._wakes: set[threading.Event] = set()

    @contextmanager
    def heeded(self, wake: threading.Event) -> Iterator[None]:
        """Set `wake` when the end comes."""
        self._wakes.add(wake)
        try:
            yield
        finally:
            self._wakes.discard(wake)

    def wait(self, wake: threading.Event, timeout_s: float) -> bool:
        """Wait for `wake`, but not past the end."""
        return self.begun or wake.wait(timeout_s)

    def begin(self) -> None:
        """Tell all who wait."""
        self.begun = True
        for wake in list(self._wakes):
            wake.set()
