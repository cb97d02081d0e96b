"""JSON that is still being written: what it says so far, as `parsePartialJson` of AI SDK 5, 6 and 7 reads it.

The text as it is, else the text closed behind its last decided value, else nothing (AI SDK reference §3.6).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson

_LITERALS = ("true", "false", "null")
_DIGITS = "0123456789"
_HEX = "0123456789abcdefABCDEF"
#: Inside a string: what needs no look at each character.
_PLAIN = re.compile(r'[^"\\]+')
#: Text without these holds no key that the AI SDK's JSON parser refuses.
_SUSPECT = re.compile(r"proto|constructor|\\u", re.IGNORECASE)
_CLOSERS = {
    "string": '"',
    **dict.fromkeys(("object", "object-comma", "key", "colon", "before-value", "after-value"), "}"),
    **dict.fromkeys(("array", "array-comma", "after-item"), "]"),
}


@dataclass(frozen=True, slots=True)
class Parsed:
    """The value so far; `complete` when the text is JSON as it is."""

    value: Any
    complete: bool


def parse_partial_json(text: str, *, major: int = 7) -> Parsed | None:
    """Read `text`, closing what is open and dropping what is not decided yet; None when that gives no JSON.

    Clients of version 5 give up on a half-written `\\uXXXX` escape, 5 and 6 on `[` with something undecided behind it.
    """
    try:
        return Parsed(_read(text), complete=True)
    except ValueError:
        pass
    try:
        return Parsed(_read(_Closer(text, major).close()), complete=False)
    except ValueError:
        return None


def _read(text: str) -> Any:
    """JSON as the AI SDK takes it. Raises: ValueError, also for keys that could change JavaScript's prototypes."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = _read_slowly(text)
    if _SUSPECT.search(text) and _is_forbidden(value):
        raise ValueError("a key that would change a prototype")
    return value


def _read_slowly(text: str) -> Any:
    """What orjson alone refuses: lone surrogates, deep nesting, numbers beyond a double (null in JavaScript's JSON)."""
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _is_forbidden(value: Any) -> bool:
    """Whether an object in `value` has `__proto__`, or a `constructor` with `prototype`."""
    if isinstance(value, list):
        return any(map(_is_forbidden, value))
    if not isinstance(value, dict):
        return False
    made_by = value.get("constructor")
    if "__proto__" in value or (isinstance(made_by, dict) and "prototype" in made_by):
        return True
    return any(map(_is_forbidden, value.values()))


class _Closer:
    """One pass over the text with a stack of what is open; `end` is where it may be cut and closed.

    A state sees one character. Characters that do not fit are passed over, not refused: whether the result is JSON
    is for the parser to say.
    """

    def __init__(self, text: str, major: int) -> None:
        self._text = text
        self._major = major
        self._end = 0
        self._literal = 0
        self._hex_digits = 0
        self._open = ["root"]

    def close(self) -> str:
        """The text cut behind its last decided place, with what is open closed."""
        at, size = 0, len(self._text)
        while at < size and self._open:
            state = self._open[-1]
            if state == "string" and (plain := _PLAIN.match(self._text, at)):
                at = self._end = plain.end()
                continue
            _STATES[state](self, self._text[at], at)
            at += 1
        closers = [self._closer(state) for state in reversed(self._open)]
        return self._text[: self._end] + "".join(closers)

    def _closer(self, state: str) -> str:
        if state != "literal":
            return _CLOSERS.get(state, "")
        begun = self._text[self._literal :]
        return next((word[len(begun) :] for word in _LITERALS if word.startswith(begun)), "")

    def _become(self, *states: str) -> None:
        self._open[-1:] = states

    def _value(self, char: str, at: int, then: str) -> None:
        """The first character of a value; `then` is the state after it."""
        state = _VALUES.get(char)
        if state is None:
            return
        self._become(then, state)
        if state == "literal":
            self._literal = at
        if char != "-":
            self._end = at + 1

    def _done(self, at: int) -> None:
        self._open.pop()
        self._end = at + 1

    def root(self, char: str, at: int) -> None:
        self._value(char, at, "finish")

    def finish(self, char: str, at: int) -> None:
        """After the value: whatever follows is left to the parser."""

    def object(self, char: str, at: int) -> None:
        if char == "}":
            self._done(at)
        else:
            self.object_comma(char, at)

    def object_comma(self, char: str, at: int) -> None:
        if char == '"':
            self._become("key")

    def key(self, char: str, at: int) -> None:
        if char == '"':
            self._become("colon")

    def colon(self, char: str, at: int) -> None:
        if char == ":":
            self._become("before-value")

    def before_value(self, char: str, at: int) -> None:
        self._value(char, at, "after-value")

    def after_value(self, char: str, at: int) -> None:
        if char == ",":
            self._become("object-comma")
        elif char == "}":
            self._done(at)

    def array(self, char: str, at: int) -> None:
        if char == "]":
            self._done(at)
        else:
            if self._major < 7:
                self._end = at + 1
            self._value(char, at, "after-item")

    def after_item(self, char: str, at: int) -> None:
        if char == ",":
            self._become("array-comma")
        elif char == "]":
            self._done(at)
        else:
            self._end = at + 1

    def array_comma(self, char: str, at: int) -> None:
        self._value(char, at, "after-item")

    def string(self, char: str, at: int) -> None:
        if char == '"':
            self._done(at)
        else:  # a backslash: the rest is skipped at once
            self._open.append("escape")

    def escape(self, char: str, at: int) -> None:
        if char == "u" and self._major >= 6:
            self._hex_digits = 0
            self._become("unicode-escape")
        else:
            self._done(at)

    def unicode_escape(self, char: str, at: int) -> None:
        if char in _HEX:
            self._hex_digits += 1
            if self._hex_digits == 4:
                self._done(at)

    def number(self, char: str, at: int) -> None:
        if char in _DIGITS:
            self._end = at + 1
        elif char not in "eE-.":
            self._open.pop()
            if char in ",}]":
                self._after_scalar(char, at)

    def literal(self, char: str, at: int) -> None:
        begun = self._text[self._literal : at + 1]
        if any(word.startswith(begun) for word in _LITERALS):
            self._end = at + 1
        else:
            self._open.pop()
            self._after_scalar(char, at)

    def _after_scalar(self, char: str, at: int) -> None:
        """The character that ended a number or a literal belongs to what holds it."""
        holder = self._open[-1]
        if (holder == "after-value" and char in ",}") or (holder == "after-item" and char in ",]"):
            _STATES[holder](self, char, at)


_STATES: dict[str, Callable[[_Closer, str, int], None]] = {
    "root": _Closer.root,
    "finish": _Closer.finish,
    "object": _Closer.object,
    "object-comma": _Closer.object_comma,
    "key": _Closer.key,
    "colon": _Closer.colon,
    "before-value": _Closer.before_value,
    "after-value": _Closer.after_value,
    "array": _Closer.array,
    "array-comma": _Closer.array_comma,
    "after-item": _Closer.after_item,
    "string": _Closer.string,
    "escape": _Closer.escape,
    "unicode-escape": _Closer.unicode_escape,
    "number": _Closer.number,
    "literal": _Closer.literal,
}
#: What a value's first character begins.
_VALUES = {
    '"': "string",
    "{": "object",
    "[": "array",
    "-": "number",
    **dict.fromkeys(_DIGITS, "number"),
    **dict.fromkeys("ftn", "literal"),
}
