"""`chatagent web`: the gateway, under gunicorn."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from chatagent.cli.settings import read_settings
from chatagent.cli.supervisor import Program
from chatagent.errors import ConfigError

#: A folder with this file is a deployment: its own Flask app is run.
DEPLOYED_APP = Path("web/app.py")
DEPLOYED_CONFIG = Path("web/gunicorn.conf.py")
DEFAULT_PORT = 8000
#: Seconds a gateway may take to end: it tells its sockets and goes.
_STOP_S = 15.0


def web(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 is every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port to listen on.")] = DEFAULT_PORT,
    processes: Annotated[int, typer.Option(min=1, max=256, help="Gateway processes; one per core is plenty.")] = 1,
    supervised: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Serve the HTTP API, the sockets and the page: gunicorn with gevent."""
    settings = read_settings(supervised=supervised)
    if settings.secret_key is None and not settings.dev:
        raise ConfigError("set CHATAGENT_SECRET_KEY, for example to what `openssl rand -hex 32` prints")
    quiet = ["--log-level", "warning"] if supervised else []
    os.execv(sys.executable, [sys.executable, *_gunicorn(host, port, processes), *quiet])


def web_program(port: int, env: dict[str, str]) -> Program:
    """The gateway as a child of `chatagent dev`: on loopback, one process."""
    command = [sys.executable, "-m", "chatagent.cli", "web", "--port", str(port), "--supervised"]
    return Program("gateway", command, env, stop_s=_STOP_S)


def _gunicorn(host: str, port: int, processes: int) -> list[str]:
    app, config = "chatagent.cli.wsgi:create_app()", "python:chatagent.cli.gunicorn_conf"
    if DEPLOYED_APP.is_file():
        app = "web.app:create_app()"
        config = str(DEPLOYED_CONFIG) if DEPLOYED_CONFIG.is_file() else config
    return ["-m", "gunicorn", "-c", config, "-b", f"{host}:{port}", "-w", str(processes), app]
