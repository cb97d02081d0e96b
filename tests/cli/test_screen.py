"""What stands on the screen in the end, whatever was drawn and erased on the way."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from rich.console import Console

from chatagent.cli.screen import Screen, show
from chatagent.client import Answer, Result
from chatagent.ui import Fold
from tests.flask.scripted_worker import say

_WIDTH = 40
_TOKENS = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|[^\x1b]")


class Told:
    """An answer as the client gives it, chunk by chunk."""

    def __init__(self, chunks: list[dict[str, Any]], pause: Callable[[], object] = bool) -> None:
        self._chunks = chunks
        self._pause = pause
        self._fold = Fold()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for chunk in self._chunks:
            self._fold.add(chunk)
            self._pause()
            yield chunk

    @property
    def so_far(self) -> Result:
        return Result(self._fold.message, "completed")

    def result(self) -> Result:
        return self.so_far


def seen(raw: str) -> list[str]:
    """The lines that a terminal shows for this: it knows of lines, of going up and of erasing a line."""
    lines, row, column = [""], 0, 0
    for token in _TOKENS.finditer(raw):
        number, command = int(token[1]) if (token[1] or "").isdigit() else 1, token[2]
        if command == "A":
            row = max(0, row - number)
        elif command == "K":
            lines[row] = ""
        elif command is None and token[0] == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif command is None and token[0] == "\r":
            column = 0
        elif command is None:
            lines[row] = lines[row][:column].ljust(column) + token[0] + lines[row][column + 1 :]
            column += 1
    return [line.rstrip() for line in lines if line.strip()]


@pytest.mark.parametrize("hurried", [False, True])
def test_a_part_stands_on_the_screen_once(hurried: bool) -> None:
    out = io.StringIO()
    screen = Screen(Console(file=out, force_terminal=True, width=_WIDTH, height=30, highlight=False))
    over, drawn = threading.Event(), threading.Event()

    def draw() -> None:
        while not over.is_set():
            screen.refresh()
            drawn.set()

    def pause() -> None:
        drawn.clear()
        assert drawn.wait(10) or not hurried

    drawing = threading.Thread(target=draw)
    if hurried:
        drawing.start()
    for number in range(20):
        screen.stream(
            cast(Answer, Told(say(f"- one\n- two\n- answer {number}\n", words=False), pause if hurried else bool)),
            below=lambda: [("below", "")],
        )
    over.set()
    if hurried:
        drawing.join()
    assert seen(out.getvalue()) == [line for n in range(20) for line in (" • one", " • two", f" • answer {n}")]


def test_a_steered_message_is_shown() -> None:
    shown = show({"type": "steering-message", "id": "m1", "parts": [{"type": "text", "text": "Be brief."}]})
    assert str(shown) == "› Be brief."


@pytest.mark.parametrize(("no_color", "coloured"), [(False, True), (True, False)])
def test_no_color_is_heeded(no_color: bool, coloured: bool) -> None:
    out = io.StringIO()
    screen = Screen(Console(file=out, force_terminal=True, no_color=no_color, color_system="standard", highlight=False))
    screen.note("careful", "bold red")
    assert ("\x1b[1;31m" in out.getvalue()) is coloured
