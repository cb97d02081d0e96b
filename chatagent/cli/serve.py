"""The worker process of an agent file: Celery's own command line on an app made here.

`python -m chatagent.cli.serve [--agents FILE] worker …`, with the rest as `celery` takes it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from chatagent.cli.agentfile import Served, load_served
from chatagent.cli.demo_agents import AGENTS
from chatagent.cli.deployment import celery_app
from chatagent.cli.supervisor import EXIT_HOPELESS
from chatagent.errors import ConfigError
from chatagent.log import configure
from chatagent.settings import Settings


def main(args: Sequence[str]) -> int:
    """Run the worker to its end; returns the exit code."""
    settings = Settings()
    configure(settings)
    file, options = _split(args)
    try:
        app = celery_app(settings, find_agents(file))
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_HOPELESS
    return app.worker_main(["-q", *options]) or 0


def find_agents(file: Path | None) -> list[Served]:
    """The agents and tasks of the file or folder, else the demo's. Raises: ConfigError."""
    return list(AGENTS) if file is None else load_served(file)


def _split(args: Sequence[str]) -> tuple[Path | None, Sequence[str]]:
    if args[:1] == ["--agents"]:
        return Path(args[1]), args[2:]
    return None, args


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
