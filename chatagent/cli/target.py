"""Which gateway a command talks to, and what it shows there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypedDict

import httpx
import typer

from chatagent.cli.settings import read_settings
from chatagent.cli.web import DEFAULT_PORT
from chatagent.client import TokenSource
from chatagent.errors import ChatAgentError, NotFound, Unauthorized

#: Where `chatagent dev` listens.
DEFAULT_URL = f"http://127.0.0.1:{DEFAULT_PORT}"
#: Seconds for the first answer.
_ANSWER_S = 10.0

Url = Annotated[str | None, typer.Option(help=f"Address of the gateway; without: {DEFAULT_URL}, `chatagent dev`.")]
Token = Annotated[str | None, typer.Option(help="Token to show; without: CHATAGENT_SECRET_KEY, or what dev gives.")]


class Credentials(TypedDict, total=False):
    """What a client takes."""

    token: TokenSource
    secret_key: str


@dataclass(frozen=True, slots=True)
class Target:
    """A gateway that answers."""

    url: str
    credentials: Credentials


def find_target(url: str | None, token: str | None) -> Target:
    """Where to talk to, and with which right to. Raises: NotFound when nothing answers there, Unauthorized."""
    found = (url or DEFAULT_URL).rstrip("/")
    known = _is_known(found)
    if token is not None:
        return Target(found, {"token": token})
    secret = read_settings().secret_key
    if secret is not None:
        return Target(found, {"secret_key": secret.get_secret_value()})
    if known:
        return Target(found, {})
    return Target(found, {"token": lambda: playground_token(found)})


def playground_token(url: str) -> str:
    """What `chatagent dev` gives to whoever is on its machine. Raises: Unauthorized."""
    try:
        answer = httpx.post(f"{url}/api/playground/token", timeout=_ANSWER_S, trust_env=False)
        token: str = answer.raise_for_status().json()["token"]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise Unauthorized(f"{url} wants a token: give --token, or set CHATAGENT_SECRET_KEY") from error
    return token


def _is_known(url: str) -> bool:
    """Whether the gateway knows us without a token. Raises: NotFound when there is none."""
    start = "start one with `chatagent dev` in another terminal, or give the address of a running one: --url"
    try:
        answer = httpx.get(f"{url}/api/config", timeout=_ANSWER_S)
        auth: str = answer.raise_for_status().json()["auth"]
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise NotFound(f"no gateway answers at {url} ({error}); {start}") from error
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise NotFound(f"what answers at {url} is no gateway of chatagent; {start}") from error
    return auth == "none"


def fail(error: ChatAgentError) -> typer.Exit:
    """Say what went wrong; to be raised."""
    typer.secho("error: ", fg="red", bold=True, nl=False, err=True)
    typer.echo(str(error), err=True)
    return typer.Exit(1)
