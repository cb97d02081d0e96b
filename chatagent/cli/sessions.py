"""`chatagent sessions`: the chats of a gateway."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Annotated, Any, cast

import typer
from rich.console import Console
from rich.table import Table

from chatagent.cli.past import Past
from chatagent.cli.screen import Screen, clean
from chatagent.cli.target import Token, Url, fail, find_target
from chatagent.client import Chat, ListFilters, Sessions
from chatagent.errors import ChatAgentError

sessions = typer.Typer(help="List chats, show one, close it, follow it.", no_args_is_help=True)

ChatId = Annotated[str, typer.Argument(metavar="CHAT", help="The chat's id.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
_COLUMNS = ("chat", "agent", "status", "turns", "updated", "title")
#: Characters that a terminal must have for a column to be shown, and that a cell keeps at least.
_LEAST_WIDTH = {"turns": 80, "updated": 80, "agent": 60}
_LEAST_CELL = 10
#: Characters of a line where no terminal cuts it: more than all columns can have.
_PIPE_WIDTH = 100_000
#: What the log says when there is something to show.
_NEWS = ("turn-start", "turn-complete", "session-closed", "message-cancelled")


@sessions.command("list")
def list_sessions(
    url: Url = None,
    token: Token = None,
    agent: Annotated[str | None, typer.Option(help="Only those of this agent.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only those with this tag.")] = None,
    user: Annotated[str | None, typer.Option(help="Only those of this user.")] = None,
    status: Annotated[
        str | None, typer.Option(help="active or closed; of active ones also idle, queued, running.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most so many.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Go on where an earlier list ended.")] = None,
    as_json: Json = False,
) -> None:
    """List chats, last active first."""
    try:
        target = find_target(url, token)
        with Sessions(target.url, **target.credentials) as found:
            page = found.list(**_given(agent=agent, tag=tag, user=user, status=status, limit=limit, cursor=cursor))
    except ChatAgentError as error:
        raise fail(error) from error
    if as_json:
        for session in page["data"]:
            typer.echo(json.dumps(session, ensure_ascii=False))
    else:
        _print_table(page["data"])
    if following := page["pagination"].get("next"):
        typer.echo(f"there are more: --cursor {following}", err=True)


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
    past = Past(screen)
    while True:
        running = past.show(chat)
        if running is not None:
            past.shown(screen.stream(running).message)
        elif past.session["closedAt"] is not None:
            screen.note(f"closed ({past.session['closedReason'] or 'no reason given'})")
            return
        else:
            _wait(chat, past.session["out_cursor"])


def _wait(chat: Chat, after: int) -> None:
    """Return at the first news in the log behind this place."""
    with closing(chat.records(after)) as records:
        for record in records:
            if record.control in _NEWS:
                return


def _given(**filters: Any) -> ListFilters:
    return cast("ListFilters", {name: value for name, value in filters.items() if value is not None})


def _print_table(sessions: list[dict[str, Any]]) -> None:
    """One line a chat. Where a terminal is narrow, columns are left out and long cells cut; a pipe gets all of it."""
    console = Console(highlight=False)
    left_out = [name for name, least in _LEAST_WIDTH.items() if console.is_terminal and console.width < least]
    table = Table(box=None, pad_edge=False)
    rows = [_row(session) for session in sessions]
    shown = [at for at, name in enumerate(_COLUMNS) if name not in left_out]
    for at in shown:
        widest = max((len(row[at]) for row in rows), default=0)
        table.add_column(_COLUMNS[at], no_wrap=True, min_width=min(widest, _LEAST_CELL))
    for row in rows:
        table.add_row(*[row[at] for at in shown])
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    console.print(table)


def _open(chat: str, url: str | None, token: str | None) -> Chat:
    target = find_target(url, token)
    return Chat(target.url, chat_id=chat, **target.credentials)


def _row(session: dict[str, Any]) -> list[str]:
    status = "closed" if session["closedAt"] else session["status"]
    updated = str(session["updatedAt"] or "").replace("T", " ")[:19]
    chat_id = session["externalId"] or session["id"]
    row = (chat_id, session["taskIdentifier"], status, session["turn"], updated, session["title"] or "")
    return [clean(str(each)) for each in row]
