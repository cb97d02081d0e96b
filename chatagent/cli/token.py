"""`chatagent token`: a token for one chat, made by the gateway."""

from __future__ import annotations

from typing import Annotated

import typer

from chatagent.auth import own_secret
from chatagent.cli.settings import read_settings
from chatagent.cli.target import DEFAULT_URL, Url, fail
from chatagent.client import Chat
from chatagent.errors import ChatAgentError


def token(
    chat: Annotated[str, typer.Argument(help="The chat's id.")],
    url: Url = None,
    secret_key: Annotated[
        str | None, typer.Option(help="The gateway's secret key; without: CHATAGENT_SECRET_KEY, or that of dev here.")
    ] = None,
    agent: Annotated[str | None, typer.Option(help="Start the chat with this agent, if there is none yet.")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="read, write, or a full scope; both of this chat.")] = None,
    ttl: Annotated[int | None, typer.Option(min=1, help="Seconds until it ends.")] = None,
    user: Annotated[str | None, typer.Option(help="The app's id of its user.")] = None,
) -> None:
    """Print a token for one chat, to hand to a browser."""
    address = url or DEFAULT_URL
    try:
        with Chat(
            address, agent, chat_id=chat, secret_key=secret_key or own_secret(read_settings(url=address))
        ) as opened:
            if agent is not None:
                opened.start(user=user)
            typer.echo(opened.mint_token(scope or ("read", "write"), ttl_s=ttl, user=user))
    except ChatAgentError as error:
        raise fail(error) from error
