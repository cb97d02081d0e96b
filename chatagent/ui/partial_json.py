"""JSON that is still being written: what it says so far (AI SDK: `parsePartialJson`)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson

#: An escape that is not complete: a lone backslash, or `\\u` with fewer than four digits.
_HALF_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{0,3})?$")
_HALF_UNICODE = re.compile(r"\\u[0-9a-fA-F]{0,3}$")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_LITERALS = ("true", "false", "null")
_SPACE = " \t\n\r"


@dataclass(frozen=True, slots=True)
class Parsed:
    """The value so far; `complete` when the text is JSON as it is."""

    value: Any
    complete: bool


def parse_partial_json(text: str, *, major: int = 7) -> Parsed | None:
    """Read `text`, closing what is open and dropping what is not decided yet; None when that gives no JSON.

    Clients of version 5 give up on a half-written `\\uXXXX` escape; later ones drop it.
    """
    try:
        return Parsed(_strict(text), complete=True)
    except ValueError:
        pass
    if major < 6 and _HALF_UNICODE.search(text):
        return None
    try:
        return Parsed(_strict(_Closer(text).close()), complete=False)
    except ValueError:
        return None


def _strict(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        # orjson refuses lone surrogates, which JavaScript takes.
        if "\\u" not in text:
            raise
        return json.loads(text, parse_constant=_refuse)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


class _Closer:
    """One pass over an incomplete text: where the last decided value ends, and what is open there."""

    def __init__(self, text: str) -> None:
        self.text = text
        #: Closing brackets of the open containers, outermost first.
        self.open: list[str] = []
        #: End of the part to keep.
        self.end = 0

    def close(self) -> str:
        """The text up to its last decided value, closed. Raises: ValueError when there is none."""
        at, expect = 0, "value"
        while at < len(self.text):
            char = self.text[at]
            if char in _SPACE:
                at += 1
            elif expect == "value" or (expect == "first-value" and char != "]"):
                at, expect = self._value(at)
            elif expect in ("key", "first-key") and char == '"':
                at, expect = self._key(at)
            elif expect == "colon" and char == ":":
                at, expect = at + 1, "value"
            elif expect == "comma" and char == ",":
                at, expect = at + 1, "key" if self.open[-1] == "}" else "value"
            elif expect in ("comma", "first-key", "first-value") and self.open and char == self.open[-1]:
                at, expect = self._end(at)
            else:
                break
            if expect == "stop":
                break
        if not self.end:
            raise ValueError("nothing is decided yet")
        return self.text[: self.end] + self.tail + "".join(reversed(self.open))

    #: What completes the last value.
    tail = ""

    def _value(self, at: int) -> tuple[int, str]:
        char = self.text[at]
        if char in "{[":
            self.open.append("}" if char == "{" else "]")
            self.end = at + 1
            return at + 1, "first-key" if char == "{" else "first-value"
        if char == '"':
            return self._string(at)
        return self._scalar(at)

    def _string(self, at: int) -> tuple[int, str]:
        end = _string_end(self.text, at)
        if end is not None:
            return self._decided(end)
        kept = _HALF_ESCAPE.sub("", self.text) if _open_escape(self.text, at) else self.text
        self.text, self.end, self.tail = kept, len(kept), '"'
        return len(kept), "stop"

    def _scalar(self, at: int) -> tuple[int, str]:
        rest = self.text[at:]
        for literal in _LITERALS:
            if rest.startswith(literal):
                return self._decided(at + len(literal))
            if literal.startswith(rest):
                self.end, self.tail = len(self.text), literal[len(rest) :]
                return len(self.text), "stop"
        number = _NUMBER.match(rest)
        if number is None:
            return at, "stop"
        end = at + number.end()
        decided = self._decided(end)
        # "1." and "1e" end with the text: the number so far stands, the rest is dropped.
        return decided if end == len(self.text) or self.text[end] not in ".eE+-" else (end, "stop")

    def _key(self, at: int) -> tuple[int, str]:
        end = _string_end(self.text, at)
        return (len(self.text), "stop") if end is None else (end, "colon")

    def _decided(self, end: int) -> tuple[int, str]:
        self.end, self.tail = end, ""
        return end, "comma" if self.open else "stop"

    def _end(self, at: int) -> tuple[int, str]:
        self.open.pop()
        return self._decided(at + 1)


def _string_end(text: str, at: int) -> int | None:
    """Position after the string that starts at `at`; None when it is still open."""
    at += 1
    while at < len(text):
        if text[at] == "\\":
            at += 2
        elif text[at] == '"':
            return at + 1
        else:
            at += 1
    return None


def _open_escape(text: str, at: int) -> bool:
    """Whether the open string at `at` ends inside an escape."""
    at += 1
    while at < len(text):
        if text[at] == "\\":
            size = 6 if text[at + 1 : at + 2] == "u" else 2
            if at + size > len(text):
                return True
            at += size
        else:
            at += 1
    return False
