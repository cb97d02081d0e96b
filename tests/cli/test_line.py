"""Keys that are typed while an answer streams, and the terminal that they come from."""

from __future__ import annotations

import os
import pty
import termios

import pytest

from chatagent.cli.line import Keyboard, Line
from tests.stack import wait_until


class Heard:
    """A line, and what it told."""

    def __init__(self) -> None:
        self.entered: list[str] = []
        self.ended = 0
        self.changes = 0
        self.line = Line(entered=self.entered.append, changed=self._change, ended=self._end)

    def _change(self) -> None:
        self.changes += 1

    def _end(self) -> None:
        self.ended += 1


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        (b"hello", "hello"),
        (b"helo\x7f\x7fllo", "hello"),
        ("grüße 🙂".encode(), "grüße 🙂"),
        (b"one two\x17three", "one three"),
        (b"one two \x17\x17x", "x"),
        (b"forget me\x15x", "x"),
        (b"a\x1b[D\x1b[1;5Cb\x1bOPc\x1bxd", "abcd"),
        (b"a\x00\x01\x0bb\tc", "ab c"),
        (b"\xff\xfea", "\ufffd\ufffda"),
        (b"\x7f\x17", ""),
    ],
)
def test_keys_edit_the_line_however_they_are_cut(keys: bytes, text: str) -> None:
    whole, pieces = Heard(), Heard()
    whole.line.feed(keys)
    for at in range(len(keys)):
        pieces.line.feed(keys[at : at + 1])
    assert whole.line.text == pieces.line.text == text
    assert whole.changes == 1 and whole.entered == []


def test_each_line_is_told_once_and_empty_ones_never() -> None:
    heard = Heard()
    heard.line.feed(b"one\r\n\r  \n two \nthr")
    assert (heard.entered, heard.line.text) == (["one", "two"], "thr")


def test_the_end_counts_on_an_empty_line_alone() -> None:
    heard = Heard()
    heard.line.feed(b"x\x04\x7f")
    assert heard.ended == 0
    heard.line.feed(b"\x04")
    assert heard.ended == 1


def test_the_terminal_is_left_as_it_was() -> None:
    master, slave = pty.openpty()
    try:
        before, heard = termios.tcgetattr(slave), Heard()
        with Keyboard(heard.line, slave):
            assert termios.tcgetattr(slave)[3] & (termios.ECHO | termios.ICANON) == 0
            assert termios.tcgetattr(slave)[3] & termios.ISIG, "Ctrl-C is still a signal"
            os.write(master, b"typed\r")
            wait_until(lambda: heard.entered == ["typed"], "the line arrives")
        assert termios.tcgetattr(slave) == before
    finally:
        os.close(master)
        os.close(slave)
