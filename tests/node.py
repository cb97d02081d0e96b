"""Node for tests: the machine's, or the one that `make` put into the environment."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

#: The oldest Node that runs the page's tools and the clients under test.
OLDEST = (20, 19)
#: Seconds for packages to be installed.
_INSTALL_S = 600.0


class InstallError(Exception):
    """Packages could not be installed; most often there is no network."""


@dataclass
class Node:
    """A Node with npm."""

    binary: str
    npm: str
    _installed: set[Path] = field(default_factory=set)

    @property
    def environment(self) -> dict[str, str]:
        """Ours with this Node first on PATH."""
        return {**os.environ, "PATH": f"{Path(self.binary).parent}{os.pathsep}{os.environ.get('PATH', '')}"}

    def install(self, folder: Path) -> Path:
        """`npm ci` in a folder with a lock file, unless that lock is installed there already. Raises: InstallError."""
        wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
        if folder not in self._installed:
            with _alone(folder):
                self._install(folder, wanted)
            self._installed.add(folder)
        return folder

    def _install(self, folder: Path, wanted: str) -> None:
        """`npm ci`, unless what is `wanted` is there."""
        stamp = folder / "node_modules" / ".installed"
        if stamp.exists() and stamp.read_text() == wanted:
            return
        command = [self.npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(
            command, cwd=folder, env=self.environment, capture_output=True, text=True, timeout=_INSTALL_S, check=False
        )
        if done.returncode:
            raise InstallError(f"npm ci failed in {folder}:\n{done.stderr[-4000:]}")
        stamp.write_text(wanted)

    def run(self, script: Path, *args: str, timeout_s: float = 120.0, check: bool = True) -> str:
        """Run a script in its folder; gives its standard output, and fails with its errors."""
        done = subprocess.run(
            [self.binary, str(script), *args],
            cwd=script.parent,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert not check or done.returncode == 0, f"{script.name} exited with {done.returncode}\n{done.stderr[-8000:]}"
        return done.stdout


def find_node() -> Node | None:
    """A Node that is new enough, with npm beside it or on PATH."""
    here = Path(sys.executable).parent
    for folder in (None, str(here)):
        binary, npm = shutil.which("node", path=folder), shutil.which("npm", path=folder)
        if binary and npm and _version(binary) >= OLDEST:
            return Node(binary, npm)
    return None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keeps other processes from the folder: tests may run in several."""
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    with (Path(tempfile.gettempdir()) / f"ca-npm-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _version(binary: str) -> tuple[int, ...]:
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    parts = said.strip().removeprefix("v").split(".")
    return tuple(int(part) for part in parts[:2]) if parts[0].isdigit() else (0,)
