"""`chatagent chat`: a chat in the terminal, or one question in a pipe."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated

import typer
from rich.console import Console

from chatagent.cli.screen import Screen, clean
from chatagent.cli.target import Token, Url, fail, find_target
from chatagent.cli.terminal import INTERRUPTED, Terminal
from chatagent.client import Chat
from chatagent.errors import BadRequest, ChatAgentError, NotFound, Retryable


def chat(
    agent: Annotated[str | None, typer.Argument(help="Whom to talk to; without: the only agent.")] = None,
    url: Url = None,
    token: Token = None,
    resume: Annotated[str | None, typer.Option(help="Go on with this chat.")] = None,
) -> None:
    """Chat with an agent in the terminal. With a question on standard input: print the answer and end."""
    _bear_any_text()
    try:
        target = find_target(url, token)
        with Chat(target.url, agent, chat_id=resume, **target.credentials) as opened:
            if sys.stdin is None or not sys.stdin.isatty():
                raise typer.Exit(answer_once(opened, "" if sys.stdin is None else sys.stdin.read()))
            _require_agent(opened, agent, resume)
            about = f"{agent or 'chat'} at {target.url}"
            raise typer.Exit(Terminal(opened, Screen(Console(highlight=False)), about).run(resumed=resume is not None))
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
        answer.stop()
        return INTERRUPTED
    if answer.result().outcome == "waiting":
        calls = ", ".join(call.name for call in answer.result().waiting_calls)
        raise Retryable(f"the agent waits for you ({calls}): chatagent chat --resume {chat.chat_id}")
    return 0


def _require_agent(chat: Chat, agent: str | None, resume: str | None) -> None:
    """Raises: NotFound that names the agents, before somebody has written a long question."""
    if agent is None or resume is not None:
        return
    known = [str(each["id"]) for each in chat.agents()]
    if known and agent not in known:
        raise NotFound(f"there is no agent {agent!r}; there are: {', '.join(known)}")


def _bear_any_text() -> None:
    """Let what is no text in the terminal's encoding be replaced, in both directions: it is no reason to fail."""
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
