"""A program on a terminal of its own: what a person types, and what they see."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from tests.stack import REPOSITORY, wait_until

_ESCAPES = re.compile(r"\x1b\][^\x1b\x07]*(?:\x07|\x1b\\)|\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]")


class PtyProcess:
    """`chatagent` with a terminal of 100 × 30."""

    def __init__(self, *args: str, cwd: Path, env: Mapping[str, str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "chatagent.cli", *args],
            cwd=cwd,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), "TERM": "xterm-256color", **env},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self._seen = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with suppress(OSError):  # EIO at its end
            while data := os.read(self._master, 65536):
                self._seen += data

    @property
    def raw(self) -> bytes:
        """All that was written, as the terminal got it."""
        return self._seen

    @property
    def text(self) -> str:
        """All that was written, without colours and movements."""
        return _ESCAPES.sub("", self._seen.decode(errors="replace")).replace("\r", "")

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    def wait_for(self, pattern: str, *, after: int = 0) -> int:
        """Wait until this is on the screen (behind place `after`), and say where it ends."""

        def find() -> re.Match[str] | None:
            found = re.compile(pattern).search(self.text, after)
            assert found or self._popen.poll() is None, f"ended before {pattern!r}:\n{self.text}"
            return found

        try:
            found = wait_until(find, pattern)
        except AssertionError:
            print(self.text)
            raise
        assert found is not None
        return found.end()

    def wait_for_prompt(self, *, after: int = 0) -> int:
        """Wait until it reads a line. A Ctrl-C before that is heeded with the next signal only: CPython's `input`."""
        at = self.wait_for("› ", after=after)
        wait_until(lambda: psutil.Process(self._popen.pid).status() == psutil.STATUS_SLEEPING, "it waits for keys")
        return at

    def end(self) -> int:
        """Its exit code, once it ended."""
        code: int = self._popen.wait(30)
        self._thread.join(5)
        return code

    def close(self) -> None:
        """End it for good."""
        if self._popen.poll() is None:
            self._popen.kill()
            self._popen.wait(10)
        self._thread.join(5)
        os.close(self._master)
