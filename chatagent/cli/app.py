"""The `chatagent` command: its subcommands, and how their errors are told."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed_version

import typer
from pydantic import ValidationError

from chatagent.cli.chat import chat
from chatagent.cli.dev import dev
from chatagent.cli.sessions import sessions
from chatagent.cli.settings import explain, settings
from chatagent.cli.supervisor import EXIT_HOPELESS
from chatagent.cli.token import token
from chatagent.cli.types import types
from chatagent.cli.web import web
from chatagent.cli.worker import worker
from chatagent.errors import ChatAgentError

app = typer.Typer(
    name="chatagent",
    help="Durable AI chat agents on Celery, Redis and Flask.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(dev)
app.command()(web)
app.command()(worker)
app.command()(chat)
app.add_typer(sessions, name="sessions")
app.command()(token)
app.command()(types)
app.command()(settings)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(installed_version("chatagent"))


def main() -> None:
    """Run the command; an error of the user's is one line on standard error and exit code 2."""
    try:
        app()
    except ValidationError as error:
        _fail(explain(error))
    except ChatAgentError as error:
        _fail(str(error))


def _fail(text: str) -> None:
    typer.secho("error: ", fg="red", bold=True, nl=False, err=True)
    typer.echo(text, err=True)
    sys.exit(EXIT_HOPELESS)
