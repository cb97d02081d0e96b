"""A chat on a terminal: messages as they were, and answers as they come."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.markdown import Markdown
from rich.panel import Panel
from rich.segment import Segment
from rich.spinner import Spinner
from rich.text import Text

from chatagent.client import Answer, Result, tool_call
from chatagent.ui.tool_part import is_tool

Part = dict[str, Any]
UIMessage = dict[str, Any]
#: Gives lines, each its text and its style.
Below = Callable[[], Iterable[tuple[str, str]]]

#: What a terminal would obey: all control characters but tab and line feed.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
#: Most characters of an input or output on a card.
_CARD = 600
_REFRESH_HZ = 10
_SETTLED = ("output-available", "output-error", "output-denied")
_STATES = {
    "input-streaming": ("…", "dim"),
    "input-available": ("running", "yellow"),
    "approval-requested": ("wants your approval", "bold yellow"),
    "approval-responded": ("answered", "dim"),
    "output-available": ("done", "green"),
    "output-error": ("failed", "red"),
    "output-denied": ("denied", "red"),
}


def clean(text: str) -> str:
    """Text without what would change the terminal."""
    return _CONTROLS.sub("", text)


class Screen:
    """Writes to one console."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live: Live | None = None
        # Of two threads that write, rich may put out the later frame first, and then erases too few lines.
        self._lock = threading.RLock()

    def refresh(self) -> None:
        """Show at once what is new below a growing answer."""
        with self._lock:
            if self._live is not None:
                self._live.refresh()

    def write(self, shown: RenderableType) -> None:
        """Put something on the screen for good, above what grows."""
        with self._lock:
            self.console.print(shown)

    def note(self, text: str, style: str = "dim") -> None:
        """A line of our own."""
        self.write(Text(clean(text), style=style))

    def message(self, message: UIMessage) -> None:
        """A message of the past."""
        if message.get("role") == "user":
            self._say(_text(message))
        else:
            self._print(message.get("parts", ()))

    def _say(self, text: str) -> None:
        self.write(Text("› " + clean(text), style="bold cyan"))

    def stream(self, answer: Answer, *, printed: int = 0, heading: str = "", below: Below = tuple) -> Result:
        """An answer from part number `printed` on, live; what has come to its end is written for good.

        `heading` is the question, shown when the answer begins; `below` gives the lines that follow what grows.
        """
        tail = _Tail(self.console, below)
        with self._alive(tail):
            for chunk in answer:
                if heading:
                    self._say(heading)
                    heading = ""
                parts = answer.so_far.message["parts"]
                if chunk["type"] == "reset-step":
                    self.note("a worker was lost: this step is done again", "yellow")
                    printed = min(printed, len(parts))
                settled = printed
                while settled < len(parts) and _is_settled(parts[settled]):
                    settled += 1
                with self._lock:
                    tail.parts = parts[settled:]
                    self._print(parts[printed:settled])
                printed = settled
        result = answer.result()
        self._print(result.message["parts"][printed:])
        self._end(result)
        return result

    @contextmanager
    def _alive(self, tail: _Tail) -> Iterator[None]:
        """Show the tail until the end, drawn anew now and then."""
        over = threading.Event()

        def draw() -> None:
            while not over.wait(1 / _REFRESH_HZ):
                self.refresh()

        drawing = threading.Thread(target=draw, name="screen", daemon=True)
        with Live(tail, console=self.console, auto_refresh=False, transient=True) as self._live:
            drawing.start()
            try:
                yield
            finally:
                over.set()
                drawing.join()
                with self._lock:
                    self._live = None

    def _end(self, result: Result) -> None:
        if result.outcome == "stopped":
            self.note("stopped")
        elif result.outcome == "failed":
            self.note(f"error: {result.error}", "bold red")

    def _print(self, parts: Iterable[Part]) -> None:
        for part in parts:
            shown = show(part)
            if shown is not None:
                self.write(shown)


class _Tail:
    """The parts that still grow, and what stands below them: as much of the end as the screen has room for."""

    def __init__(self, console: Console, below: Below) -> None:
        self.parts: Sequence[Part] = ()
        self._below = below
        self._waiting = Spinner("dots", style="dim") if console.is_terminal else Text("")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown = [each for each in map(show, self.parts) if each is not None]
        below = [Text(clean(text), style=style) for text, style in self._below()]
        lines = console.render_lines(Group(*shown, self._waiting, *below), options.update(height=None), pad=False)
        for line in lines[-max(1, console.height - 2) :]:
            yield from line
            yield Segment.line()


def show(part: Part) -> RenderableType | None:
    """A part as it looks; None for what nobody needs to see."""
    kind = part["type"]
    if kind == "text":
        return Markdown(clean(part["text"])) if part["text"] else None
    if kind == "steering-message":
        return Text("› " + clean(_text(part)), style="bold cyan")
    if kind == "reasoning":
        return Text(clean(part["text"]), style="dim italic") if part["text"] else None
    if is_tool(part):
        return card(part)
    if kind in ("file", "reasoning-file"):
        return Text(f"[{clean(str(part.get('mediaType')))} {clean(str(part.get('filename') or ''))}]", style="dim")
    if kind == "source-url":
        return Text(clean(f"{part.get('title') or ''} {part['url']}".strip()), style="dim")
    if kind.startswith("data-"):
        return Text(clean(f"{kind[5:]}: {_short(part.get('data'))}"), style="dim")
    return None


def card(part: Part) -> Panel:
    """A tool call."""
    call = tool_call(part)
    state, style = _STATES.get(call.state, (call.state, "dim"))
    lines = [Text(_short(call.input), style="dim")] if call.input is not None else []
    if call.state == "output-available":
        lines.append(Text(_short(call.output)))
    if call.error is not None:
        lines.append(Text(clean(call.error)[:_CARD], style="red"))
    title = Text.assemble((clean(call.name), "bold"), " ", (state, style))
    return Panel(Group(*lines), title=title, title_align="left", border_style=style, expand=False)


def _is_settled(part: Part) -> bool:
    """Whether nothing more is expected of a part."""
    if is_tool(part):
        return part.get("state") in _SETTLED and not part.get("preliminary")
    return part.get("state") != "streaming"


def _short(value: Any) -> str:
    text = clean(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return text if len(text) <= _CARD else f"{text[:_CARD]}…"


def _text(message: UIMessage) -> str:
    said = (part["text"] if part["type"] == "text" else f"[{part['type']}]" for part in message.get("parts", ()))
    return " ".join(said)
