"""Server-sent events: the data of each event, out of bytes cut anywhere (WHATWG HTML §9.2)."""

from __future__ import annotations


class Events:
    """Reads one stream. Only `data` is looked at; comments are passed over."""

    def __init__(self) -> None:
        self._line = b""
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> list[bytes]:
        """The events that this piece completes."""
        *lines, self._line = (self._line + piece).split(b"\n")
        found: list[bytes] = []
        for line in lines:
            line = line.removesuffix(b"\r")
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif not line and self._data:
                found.append(b"\n".join(self._data))
                self._data = []
        return found
