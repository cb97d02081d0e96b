"""The terminal of `chatagent dev`: one line at a time, each with the name of the process that wrote it.

A thread does the writing: a reader that stalls must not stall the supervisor, which has to hear Ctrl-C.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable

#: Lines kept for a reader that is slow; what comes beyond is dropped.
_BACKLOG = 10_000
#: Seconds for the last lines to be written.
_CLOSE_S = 2.0
#: ANSI colours by process name; others get the last.
_COLOURS = {"chatagent": "1;35", "redis": "31", "worker": "32", "gateway": "34"}
_OTHER = "36"


class Console:
    """Writes prefixed lines to a file descriptor (standard output)."""

    def __init__(self, fd: int | None = None) -> None:
        self._fd = sys.stdout.fileno() if fd is None else fd
        self.coloured = wants_colour(self._fd)
        #: Called in the console's thread once the reader is gone; then nobody is there to talk to.
        self.on_closed: Callable[[], object] = bool
        self._lines: queue.Queue[bytes | None] = queue.Queue(_BACKLOG)
        self._thread = threading.Thread(target=self._write, name="console", daemon=True)
        self._thread.start()

    def say(self, text: str, *, name: str = "chatagent") -> None:
        """Write each line of `text` behind the coloured name."""
        label = f"{name:<9}"
        prefix = f"\x1b[{_COLOURS.get(name, _OTHER)}m{label}\x1b[0m │ " if self.coloured else f"{label} | "
        for line in text.splitlines():
            self._put(prefix + line)

    def plain(self, text: str) -> None:
        """Write a line that stands for itself."""
        self._put(text)

    def close(self) -> None:
        """Write what is left, within two seconds."""
        try:
            self._lines.put(None, timeout=_CLOSE_S)
        except queue.Full:
            return
        self._thread.join(_CLOSE_S)

    def _put(self, line: str) -> None:
        try:
            self._lines.put_nowait(line.encode(errors="replace") + b"\n")
        except queue.Full:
            return  # the reader does not read; the processes go on

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                while line:
                    line = line[os.write(self._fd, line) :]
            except OSError:  # a closed pipe
                self.on_closed()
                return


def wants_colour(fd: int) -> bool:
    """Whether colours would be seen there: a terminal, unless NO_COLOR (no-color.org) or FORCE_COLOR says otherwise."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or os.isatty(fd)
