"""A person in front of a chat: what they type, before, during and after an answer."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

from chatagent.cli.line import Keyboard, Line
from chatagent.cli.past import Past
from chatagent.cli.screen import Screen, clean
from chatagent.cli.waiting import Queue
from chatagent.client import Answer, Chat, Result, ToolCall
from chatagent.errors import ChatAgentError, NotFound
from chatagent.ui.reading import tool_call, waiting_calls

readline: Any = None
with suppress(ImportError):  # not on every system; it lets one edit the line
    import readline

#: What a shell gives to a program that Ctrl-C ended.
INTERRUPTED = 130
_HELP = """/again        answer once more
/edit TEXT    say the last question differently
/quit         leave; so does Ctrl-D
While an answer is written:
TEXT          waits for its end
/steer TEXT   goes into it at its next step
/back         takes back what waits
Ctrl-C        stops it, once more leaves"""
_YES, _NO = ("y", "yes"), ("", "n", "no")


class Left(Exception):
    """The person leaves; what is being written goes on."""


class Terminal:
    """One chat on one terminal."""

    def __init__(self, chat: Chat, screen: Screen, about: str) -> None:
        self.chat = chat
        self.screen = screen
        self._about = about
        self._past = Past(screen)
        self._queue = Queue(chat, failed=lambda text: screen.note(text, "bold red"))
        self._line = Line(entered=self._enter, changed=screen.refresh, ended=self._leave)
        self._answer: Answer | None = None
        self._leaving = False
        coloured = screen.console.color_system is not None and not screen.console.no_color
        self._prompt = "\001\x1b[1;36m\002› \001\x1b[0m\002" if coloured else "› "

    def run(self, *, resumed: bool) -> int:
        """Talk until the person leaves; the exit code."""
        self.screen.note(f"{self._about}   /help tells the rest")
        code = 0
        try:
            if resumed:
                self._show_past()
            while (text := self._read()) is not None:
                self._obey(text)
        except Left:
            pass
        except KeyboardInterrupt:
            code = INTERRUPTED
        self._queue.close()
        self.screen.note(f"\ngo on with: chatagent chat --resume {self.chat.chat_id}")
        return code

    # -- at the prompt ------------------------------------------------------------------------------------------

    def _read(self) -> str | None:
        """The next line; None at the end. Ctrl-C forgets what was typed, and leaves when nothing was."""
        told = False
        while True:
            try:
                line = self._input().strip()
            except EOFError:
                return None
            except KeyboardInterrupt:
                if told:
                    return None
                told = True
                self.screen.note("\nCtrl-C once more leaves")
                continue
            told = False
            if line == "/quit":
                return None
            if line:
                return line

    def _input(self) -> str:
        """A line; what was typed while an answer streamed stands in it already."""
        typed, self._line.text = self._line.text, ""
        if readline is None or not typed:
            return input(self._prompt)
        readline.set_startup_hook(lambda: readline.insert_text(typed))
        try:
            return input(self._prompt)
        finally:
            readline.set_startup_hook(None)

    def _obey(self, text: str) -> None:
        """Do what a line says. What goes wrong is told, and the chat goes on."""
        command, _, rest = text.partition(" ")
        rest = rest.strip()
        try:
            match command:
                case "/help":
                    self.screen.note(_HELP)
                case "/again" if not rest:
                    self._follow(self.chat.regenerate)
                case "/edit" if rest:
                    self._follow(lambda: self.chat.edit(self._last_question(), rest))
                case "/again" | "/edit" | "/steer" | "/back":
                    self.screen.note(_HELP)
                case _:
                    self._follow(lambda: self.chat.send(text))
        except ChatAgentError as error:
            self.screen.note(f"error: {error}", "bold red")

    def _last_question(self) -> str:
        found = [message["id"] for message in self.chat.history() if message["role"] == "user"]
        if not found:
            raise NotFound("nothing was said yet")
        return str(found[-1])

    def _show_past(self) -> None:
        """What was said, and the answers that are being written."""
        while (running := self._past.show(self.chat)) is not None:
            with self._interruptible():
                result = self._stream(running)
            self._past.shown(result.message)
            self._settle(result)
        last = self._past.last
        if last is not None and last["role"] == "assistant":
            self._settle(Result(last, "waiting"))

    # -- while an answer is written -----------------------------------------------------------------------------

    def _enter(self, text: str) -> None:
        """A line was typed meanwhile."""
        command, _, rest = text.partition(" ")
        if command == "/steer" and rest.strip():
            self._queue.say(rest.strip(), "steer")
        elif text == "/back":
            self._queue.take_back()
        elif text == "/quit":
            self._leave()
        elif text == "/help" or command in ("/again", "/edit", "/steer"):
            self.screen.note(_HELP)
        else:
            self._queue.say(text)

    def _leave(self) -> None:
        self._leaving = True
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def _follow(self, ask: Callable[[], Answer]) -> None:
        """Show an answer and what comes of it, then the answers to what was said meanwhile."""
        with self._interruptible():
            result = self._stream(ask())
        self._settle(result)
        while (waiting := self._queue.next()) is not None:
            with self._interruptible():
                sent = waiting.answer.result()
                told = None if sent is None else self._stream(sent, heading=waiting.text)
            if told is not None:
                self._settle(told)

    def _settle(self, result: Result) -> None:
        """Ask the person for all that an answer waits for, and show how it goes on."""
        while waiting := waiting_calls(result.message):
            printed = result.message["parts"].index(waiting[0])
            answer = self._reply(tool_call(waiting[0]))
            with self._interruptible():
                result = self._stream(answer, printed=printed)

    def _stream(self, answer: Answer, *, printed: int = 0, heading: str = "") -> Result:
        self._answer = answer
        try:
            with self._typing():
                return self.screen.stream(answer, printed=printed, heading=heading, below=self._below)
        finally:
            self._answer = None

    def _below(self) -> Iterator[tuple[str, str]]:
        """What stands below a growing answer: text and style of each line."""
        if self._answer is not None and not self._answer.connected:
            yield "the connection was lost; trying again", "yellow"
        for waiting in self._queue.messages:
            yield f"{'steers' if waiting.busy == 'steer' else 'waits'}: {waiting.text}", "dim cyan"
        if self._line.text:
            yield f"› {self._line.text}█", "bold cyan"

    def _typing(self) -> AbstractContextManager[object]:
        """Keys are read while an answer streams, where there are a keyboard and a screen."""
        there = self.screen.console.is_terminal and sys.stdin.isatty()
        return Keyboard(self._line) if there else nullcontext()

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """The first Ctrl-C stops the answer, a second one leaves."""
        stopping = False

        def interrupt(*_: object) -> None:
            nonlocal stopping
            if self._leaving:
                raise Left
            if stopping:
                raise KeyboardInterrupt
            stopping = True
            # Not here: this runs in the middle of whatever the main thread does with its connection.
            threading.Thread(target=self._stop, args=(self._answer,), daemon=True).start()

        before = signal.signal(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _stop(self, answer: Answer | None) -> None:
        self.screen.note("stopping; Ctrl-C once more leaves")
        with suppress(ChatAgentError):  # the answer goes on, and a second Ctrl-C leaves
            if answer is None:
                self.chat.stop()
            else:
                answer.stop()

    # -- when an answer waits for the person --------------------------------------------------------------------

    def _reply(self, call: ToolCall) -> Answer:
        if call.approval_id is not None and call.state == "approval-requested":
            said = self._ask(f"Allow {clean(call.name)}? [y/N] ")
            if said.lower() in _YES:
                return self.chat.approve(call.approval_id, True)
            return self.chat.approve(call.approval_id, False, None if said.lower() in _NO else said)
        said = self._ask(f"{clean(call.name)} wants an answer from you (empty: none): ")
        if not said:
            return self.chat.answer_tool(call.id, error="the user gave no answer")
        try:
            return self.chat.answer_tool(call.id, json.loads(said))
        except json.JSONDecodeError:
            return self.chat.answer_tool(call.id, said)

    def _ask(self, question: str) -> str:
        try:
            return input(question).strip()
        except (EOFError, KeyboardInterrupt):
            raise Left from None  # the question stays open
