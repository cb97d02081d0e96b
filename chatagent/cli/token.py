"""`chatagent token`: a token for one chat, made by the gateway."""

from __future__ import annotations

from typing import Annotated

import typer

from chatagent.cli.settings import read_settings
from chatagent.cli.target import DEFAULT_URL, Url, fail
from chatagent.client import Chat
from chatagent.client.wire import on_this_machine
from chatagent.errors import ChatAgentError, ConfigError


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
        with Chat(address, agent, chat_id=chat, secret_key=secret_key or _secret(address)) as opened:
            if agent is not None:
                opened.start(user=user)
            typer.echo(opened.mint_token(scope or ("read", "write"), ttl_s=ttl, user=user))
    except ChatAgentError as error:
        raise fail(error) from error


def _secret(url: str) -> str:
    """The secret key of this folder's settings, or of its `chatagent dev`, which never leaves this machine."""
    settings = read_settings()
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value()
    kept = settings.data_dir / "secret_key"
    if on_this_machine(url) and kept.is_file():
        return kept.read_text().strip()
    raise ConfigError("give the gateway's --secret-key, or set CHATAGENT_SECRET_KEY")
