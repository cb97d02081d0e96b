"""`chatagent worker`: Celery's stock worker on the agents of a file, a folder, a deployment or the demo."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from chatagent.cli.console import Console
from chatagent.cli.settings import read_settings
from chatagent.cli.supervisor import Child, Program, Supervisor
from chatagent.errors import ConfigError
from chatagent.settings import Settings

#: A folder with this file is a deployment: its own Celery app is run.
DEPLOYED_APP = Path("workers/app.py")
#: Seconds beyond the grace of its turns that a worker may take to end.
STOP_MARGIN_S = 15.0

AgentFile = Annotated[
    Path | None,
    typer.Argument(
        help="Python file or folder with agents; without: workers/app.py of this folder, else a demo agent."
    ),
]


def worker(
    file: AgentFile = None,
    processes: Annotated[int, typer.Option(min=1, max=256, help="Worker processes; one per core is right.")] = 1,
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="Turns at once in each process (CHATAGENT_CONCURRENCY).")
    ] = None,
    name: Annotated[str, typer.Option(help="Name in Celery; must differ between workers of one machine.")] = "",
    supervised: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Run turns: a stock Celery worker."""
    settings = read_settings(supervised=supervised, concurrency=concurrency)
    if file is not None and not file.exists():
        raise ConfigError(f"{file}: no such file or folder")
    if processes > 1:
        raise typer.Exit(asyncio.run(_run_many(settings, file, processes, name or "worker")))
    options = celery_options(settings, name or f"worker-{os.getpid()}")
    if file is None and DEPLOYED_APP.is_file():
        os.execv(sys.executable, [sys.executable, "-m", "celery", "-q", "-A", "workers.app", *options])
    target = ["--agents", str(file)] if file else []
    os.execv(sys.executable, [sys.executable, "-m", "chatagent.cli.serve", *target, *options])


def celery_options(settings: Settings, name: str) -> list[str]:
    """Arguments of the stock worker. Gossip and mingle would only cost: workers need not know each other."""
    return [
        "worker",
        *("-P", "threads"),
        *("-c", str(settings.concurrency)),
        *("-n", f"{name}@%h"),
        *("-l", settings.log_level),
        "-E",
        "--without-mingle",
        "--without-gossip",
    ]


def worker_program(settings: Settings, file: Path | None, label: str, env: dict[str, str]) -> Program:
    """One worker process as a child, called `label` on our console.

    Celery gets a name that no other worker of this machine has, because a warm chat's messages go to that name.
    """
    command = [sys.executable, "-m", "chatagent.cli", "worker", *([str(file)] if file else [])]
    options = ["--supervised", "--name", child_name(label), "--concurrency", str(settings.concurrency)]
    return Program(label, [*command, *options], env, stop_s=settings.grace_s + STOP_MARGIN_S)


def child_name(label: str) -> str:
    """What Celery calls the child with this label, before the `@`."""
    return f"{label}-{os.getpid()}"


async def _run_many(settings: Settings, file: Path | None, processes: int, name: str) -> int:
    console = Console()
    programs = [worker_program(settings, file, f"{name}-{number}", {}) for number in range(1, processes + 1)]
    try:
        return await Supervisor(console).run([[Child(program, console) for program in programs]])
    finally:
        console.close()
