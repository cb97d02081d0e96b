"""The line that a person types while an answer streams above it. Keys are read raw; Ctrl-C stays a signal."""

from __future__ import annotations

import codecs
import os
import re
import select
import sys
import termios
import threading
import tty
from collections.abc import Callable
from typing import Any, Self

#: Keys that move the cursor or do something else that we do not: CSI and SS3 sequences, and Alt with a key.
_OTHER_KEYS = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|O.|[^\[O])")
#: The beginning of one, whose rest is still to come.
_HALF_KEY = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*|O)?$")
_ENTER, _DELETE, _END = "\r\n", "\x7f\b", "\x04"
_CLEAR_LINE, _CLEAR_WORD = "\x15", "\x17"


class Line:
    """What was typed so far. `entered` is called with each whole line, `changed` after each key, `ended` at Ctrl-D."""

    def __init__(
        self, *, entered: Callable[[str], None], changed: Callable[[], None], ended: Callable[[], None]
    ) -> None:
        self.text = ""
        self._entered = entered
        self._changed = changed
        self._ended = ended
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._half = ""

    def feed(self, data: bytes) -> None:
        """Take what the terminal sent."""
        keys = self._half + self._decoder.decode(data)
        half = _HALF_KEY.search(keys)
        self._half = half[0] if half else ""
        for key in _OTHER_KEYS.sub("", keys.removesuffix(self._half)):
            self._press(key)
        self._changed()

    def _press(self, key: str) -> None:
        if key in _ENTER:
            text, self.text = self.text.strip(), ""
            if text:
                self._entered(text)
        elif key in _DELETE:
            self.text = self.text[:-1]
        elif key == _CLEAR_LINE:
            self.text = ""
        elif key == _CLEAR_WORD:
            self.text = re.sub(r"\S*\s*$", "", self.text)
        elif key == _END:
            if not self.text:
                self._ended()
        elif key.isprintable() or key == "\t":
            self.text += " " if key == "\t" else key


class Keyboard:
    """Reads the keys of a terminal into a line, in a thread, while it is open. The terminal is left as it was."""

    def __init__(self, line: Line, fd: int | None = None) -> None:
        self._line = line
        self._fd = sys.stdin.fileno() if fd is None else fd
        self._before: list[Any] = []
        self._wake = (-1, -1)
        self._thread = threading.Thread(target=self._read, name="keyboard", daemon=True)

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self._fd)
        tty.setcbreak(self._fd, termios.TCSADRAIN)
        self._wake = os.pipe()
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        os.write(self._wake[1], b".")
        self._thread.join()
        for end in self._wake:
            os.close(end)
        termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

    def _read(self) -> None:
        while True:
            ready, _, _ = select.select([self._fd, self._wake[0]], [], [])
            if self._wake[0] in ready:
                return
            data = os.read(self._fd, 4096)
            if not data:
                return
            self._line.feed(data)
