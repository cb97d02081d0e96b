"""A whole stack for one benchmark: `chatagent dev` on a free port, and what its processes cost."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

AGENTS = Path(__file__).with_name("agents.py")
#: Seconds for everything to start.
_START_S = 90


@dataclass(frozen=True)
class Stack:
    """A running stack. `processes` maps a role to its processes."""

    url: str
    token: str
    processes: dict[str, list[psutil.Process]]

    def cpu_s(self) -> dict[str, float]:
        """Seconds of CPU that each role has used so far."""
        return {role: sum(_cpu_s(each) for each in found) for role, found in self.processes.items()}

    def rss_mb(self) -> dict[str, float]:
        """Resident memory of each role in MiB."""
        return {role: sum(each.memory_info().rss for each in found) / 2**20 for role, found in self.processes.items()}


@contextlib.contextmanager
def running() -> Iterator[Stack]:
    """Start a stack with `benchmarks/agents.py`; stop it at the end."""
    with tempfile.TemporaryDirectory(prefix="ca-bench-") as folder:
        port = _free_port()
        command = [sys.executable, "-m", "chatagent.cli", "dev", str(AGENTS), "--port", str(port), "--no-open"]
        with (Path(folder) / "log").open("w+") as log:
            process = subprocess.Popen([*command, "--data", f"{folder}/data"], stdout=log, stderr=subprocess.STDOUT)
            try:
                _wait_ready(process, Path(folder) / "log")
                url = f"http://127.0.0.1:{port}"
                token = httpx.post(f"{url}/api/playground/token").raise_for_status().json()["token"]
                yield Stack(url, token, _roles(psutil.Process(process.pid)))
            finally:
                process.terminate()
                process.wait(60)


def _wait_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < deadline:
        if "chatagent ready" in log.read_text():
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
    raise SystemExit(f"the stack did not start:\n{log.read_text()}")


def _roles(parent: psutil.Process) -> dict[str, list[psutil.Process]]:
    roles: dict[str, list[psutil.Process]] = {"gateway": [], "worker": [], "redis": []}
    for child in parent.children(recursive=True):
        line = " ".join(child.cmdline())
        if "gunicorn" in line:
            roles["gateway"].append(child)
        elif "redis" in line or "valkey" in line:
            roles["redis"].append(child)
        else:
            roles["worker"].append(child)
    return roles


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
