"""`chatagent sessions`: the chats of a gateway."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from chatagent.cli.screen import Screen, clean
from chatagent.cli.target import Token, Url, fail, find_target
from chatagent.client import Chat, Sessions
from chatagent.errors import ChatAgentError

sessions = typer.Typer(help="List chats, show one, close it, follow it.", no_args_is_help=True)

ChatId = Annotated[str, typer.Argument(metavar="CHAT", help="The chat's id.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
#: What the log says when there is something to show.
_NEWS = ("turn-start", "turn-complete", "session-closed", "message-cancelled")


@sessions.command("list")
def list_sessions(
    url: Url = None,
    token: Token = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most so many.")] = 20,
    as_json: Json = False,
) -> None:
    """List chats, last active first."""
    try:
        target = find_target(url, token)
        with Sessions(target.url, **target.credentials) as found:
            page = found.list(limit=limit)
    except ChatAgentError as error:
        raise fail(error) from error
    if as_json:
        for session in page["data"]:
            typer.echo(json.dumps(session, ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("chat", "agent", "status", "turns", "updated", "title"):
        table.add_column(column, no_wrap=True)
    for session in page["data"]:
        table.add_row(*_row(session))
    Console(highlight=False, soft_wrap=True).print(table)


@sessions.command()
def show(chat: ChatId, url: Url = None, token: Token = None, as_json: Json = False) -> None:
    """Show what was said."""
    try:
        with _open(chat, url, token) as opened:
            messages = opened.history()
    except ChatAgentError as error:
        raise fail(error) from error
    screen = Screen(Console(highlight=False))
    for message in messages:
        if as_json:
            typer.echo(json.dumps(message, ensure_ascii=False))
        else:
            screen.message(message)


@sessions.command()
def close(
    chat: ChatId,
    url: Url = None,
    token: Token = None,
    reason: Annotated[str | None, typer.Option(help="Told to whoever writes to it later.")] = None,
) -> None:
    """Close a chat for good."""
    try:
        with _open(chat, url, token) as opened:
            closed = opened.close_session(reason)
    except ChatAgentError as error:
        raise fail(error) from error
    typer.echo(f"{chat} is closed ({closed['closedReason'] or 'no reason given'})")


@sessions.command()
def tail(chat: ChatId, url: Url = None, token: Token = None) -> None:
    """Follow a chat, whoever writes to it, until Ctrl-C or until it is closed."""
    screen = Screen(Console(highlight=False))
    try:
        with _open(chat, url, token) as opened:
            _follow(opened, screen)
    except ChatAgentError as error:
        raise fail(error) from error
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _follow(chat: Chat, screen: Screen) -> None:
    shown: dict[str, Any] = {}
    while True:
        session = chat.snapshot()
        running = chat.resume() if session["status"] == "running" else None
        _show_new(session["messages"], shown, screen, but_last=running is not None)
        if running is not None:
            message = screen.stream(running).message
            shown[message["id"]] = message
        elif session["closedAt"] is not None:
            screen.note(f"closed ({session['closedReason'] or 'no reason given'})")
            return
        else:
            _wait(chat, session["out_cursor"])


def _wait(chat: Chat, after: int) -> None:
    """Return at the first news in the log behind this place."""
    with closing(chat.records(after)) as records:
        for record in records:
            if record.control in _NEWS:
                return


def _show_new(messages: list[dict[str, Any]], shown: dict[str, Any], screen: Screen, *, but_last: bool) -> None:
    """Show messages that were not shown, or have changed; an answer that is being written comes by itself."""
    if but_last and messages and messages[-1]["role"] == "assistant":
        messages = messages[:-1]
    for message in messages:
        if shown.get(message["id"]) != message:
            shown[message["id"]] = message
            screen.message(message)


def _open(chat: str, url: str | None, token: str | None) -> Chat:
    target = find_target(url, token)
    return Chat(target.url, chat_id=chat, **target.credentials)


def _row(session: dict[str, Any]) -> list[str]:
    status = "closed" if session["closedAt"] else session["status"]
    updated = str(session["updatedAt"] or "").replace("T", " ")[:19]
    chat_id = session["externalId"] or session["id"]
    row = (chat_id, session["taskIdentifier"], status, session["turn"], updated, session["title"] or "")
    return [clean(str(each)) for each in row]
