"""`chatagent chat`: a chat in the terminal, or one question in a pipe."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import typer
from rich.console import Console

from chatagent.cli.screen import Screen, clean
from chatagent.cli.target import Target, Token, Url, fail, find_target
from chatagent.client import Answer, Chat, Result, ToolCall
from chatagent.errors import BadRequest, ChatAgentError, NotFound, Retryable
from chatagent.ui.reading import waiting_calls

with suppress(ImportError):  # not on every system; it lets one edit the line
    import readline as readline

#: What a shell gives to a program that Ctrl-C ended.
_INTERRUPTED = 130
_HELP = "/again  answer once more   /edit TEXT  say it differently   /quit   Ctrl-C  stop the answer"
_YES, _NO = ("y", "yes"), ("", "n", "no")


def chat(
    agent: Annotated[str | None, typer.Argument(help="Whom to talk to; without: the only agent.")] = None,
    url: Url = None,
    token: Token = None,
    resume: Annotated[str | None, typer.Option(help="Go on with this chat.")] = None,
) -> None:
    """Chat with an agent in the terminal. With a question on standard input: print the answer and end."""
    try:
        target = find_target(url, token)
        with Chat(target.url, agent, chat_id=resume, **target.credentials) as opened:
            if not sys.stdin.isatty():
                raise typer.Exit(answer_once(opened, sys.stdin.read()))
            _require_agent(opened, agent, resume)
            Terminal(opened, Screen(Console(highlight=False)), target, agent).run(resumed=resume is not None)
    except ChatAgentError as error:
        raise fail(error) from error


def answer_once(chat: Chat, question: str) -> int:
    """Print the text of one answer; the exit code. Raises: ChatAgentError when there is none."""
    if not question.strip():
        raise BadRequest("ask something: echo question | chatagent chat AGENT")
    answer = chat.send(question.strip())
    try:
        for text in answer.text_stream():
            print(clean(text) if sys.stdout.isatty() else text, end="", flush=True)
        print(flush=True)
    except BrokenPipeError:
        # Whoever read has seen enough; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        chat.stop()
        return _INTERRUPTED
    if answer.result().outcome == "waiting":
        calls = ", ".join(call.name for call in answer.result().waiting_calls)
        raise Retryable(f"the agent waits for you ({calls}): chatagent chat --resume {chat.chat_id}")
    return 0


class Terminal:
    """A person in front of a chat."""

    def __init__(self, chat: Chat, screen: Screen, target: Target, agent: str | None) -> None:
        self.chat = chat
        self.screen = screen
        self._target = target
        self._agent = agent
        self._prompt = "\001\x1b[1;36m\002› \001\x1b[0m\002" if screen.console.color_system else "› "

    def run(self, *, resumed: bool) -> None:
        """Talk until the person leaves."""
        self.screen.note(f"{self._agent or 'chat'} at {self._target.url}   {_HELP}")
        code = 0
        try:
            if resumed:
                self._show_past()
            while (text := self._read()) is not None:
                self._obey(text)
        except KeyboardInterrupt:
            code = _INTERRUPTED
        self.screen.note(f"\ngo on with: chatagent chat --resume {self.chat.chat_id}")
        raise typer.Exit(code)

    def _read(self) -> str | None:
        """The next line; None at the end."""
        while True:
            try:
                line = input(self._prompt).strip()
            except (EOFError, KeyboardInterrupt):
                return None
            if line == "/quit":
                return None
            if line:
                return line

    def _obey(self, text: str) -> None:
        """Do what a line says. What goes wrong is told, and the chat goes on."""
        try:
            if text == "/help":
                self.screen.note(_HELP)
            elif text == "/again":
                self._follow(lambda: self.chat.regenerate())
            elif text.startswith("/edit "):
                self._follow(lambda: self.chat.edit(self._last_question(), text.removeprefix("/edit ").strip()))
            else:
                self._follow(lambda: self.chat.send(text))
        except ChatAgentError as error:
            self.screen.note(f"error: {error}", "bold red")

    def _last_question(self) -> str:
        found = [message["id"] for message in self.chat.history() if message["role"] == "user"]
        if not found:
            raise NotFound("nothing was said yet")
        return str(found[-1])

    def _show_past(self) -> None:
        """What was said, and the answer that is being written."""
        messages = self.chat.history()
        running = self.chat.resume()
        if running is not None and messages and messages[-1]["role"] == "assistant":
            messages = messages[:-1]  # it is told again, from its start
        for message in messages:
            self.screen.message(message)
        if running is not None:
            self._settle(self._stream(running))
        elif messages and messages[-1]["role"] == "assistant":
            self._settle(Result(messages[-1], "waiting"))

    # -- answers ------------------------------------------------------------------------------------------------

    def _follow(self, ask: Any) -> None:
        """Show an answer, and what comes of it."""
        with self._interruptible():
            result = self.screen.stream(ask())
        self._settle(result)

    def _settle(self, result: Result) -> None:
        """Ask the person for all that an answer waits for, and show how it goes on."""
        while waiting := waiting_calls(result.message):
            printed = result.message["parts"].index(waiting[0])
            answer = self._answer(result.waiting_calls[0])
            result = self._stream(answer, printed=printed)

    def _stream(self, answer: Answer, *, printed: int = 0) -> Result:
        with self._interruptible():
            return self.screen.stream(answer, printed=printed)

    def _answer(self, call: ToolCall) -> Answer:
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
        except EOFError:
            raise KeyboardInterrupt from None  # nobody is there: the question stays open

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """The first Ctrl-C stops the answer, a second one leaves."""
        stopping = False

        def interrupt(*_: object) -> None:
            nonlocal stopping
            if stopping:
                raise KeyboardInterrupt
            stopping = True
            # Not here: this runs in the middle of whatever the main thread does with its connection.
            threading.Thread(target=self._stop, daemon=True).start()

        before = signal.signal(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _stop(self) -> None:
        self.screen.note("stopping; Ctrl-C once more leaves")
        with suppress(ChatAgentError):  # the answer goes on, and a second Ctrl-C leaves
            self.chat.stop()


def _require_agent(chat: Chat, agent: str | None, resume: str | None) -> None:
    """Raises: NotFound that names the agents, before somebody has written a long question."""
    if agent is None or resume is not None:
        return
    known = [str(each["id"]) for each in chat.agents()]
    if known and agent not in known:
        raise NotFound(f"there is no agent {agent!r}; there are: {', '.join(known)}")
