"""Real processes for tests: Celery workers and gateways on a real Redis, awaited by condition, ended by pid."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, cast

import httpx

from chatagent.redis.keys import Keys
from tests.loopback import LOOPBACK
from tests.redis_server import RedisServer

T = TypeVar("T")

REPOSITORY = Path(__file__).parents[1]
#: Signs tokens in tests.
SECRET = "test-secret-" + "0" * 32
#: Seconds for a process to be up (importing litellm is slow on a busy machine), to end, and for a condition.
START_S = 90.0
STOP_S = 45.0
WAIT_S = 30.0
#: Where tests let servers listen: below the ports that the system gives to outgoing connections. Tests may run in
#: several processes: each begins elsewhere.
PORTS = range(12_000, 32_000)
_ports = itertools.count(os.getpid() * 997)


def wait_until(condition: Callable[[], T], what: str, *, timeout_s: float = WAIT_S) -> T:
    """What `condition` gives once it is true. Fails with `what` after the deadline."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
        time.sleep(0.02)
    return found


class Process:
    """A program of the stack, in its own process group, its output in a file."""

    def __init__(self, argv: list[str], *, env: Mapping[str, str], cwd: Path, output: Path) -> None:
        self.output = output
        self._file = output.open("wb")
        self._popen = subprocess.Popen(
            argv,
            env={**_clean_environment(), **env},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._popen.poll()

    def log(self) -> str:
        """What it wrote so far."""
        return self.output.read_text(errors="replace")

    def send(self, how: signal.Signals) -> None:
        """Send a signal to the process itself, not to its group."""
        self._popen.send_signal(how)

    def kill(self) -> None:
        """SIGKILL it and all that it started, as a crash of its machine would."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait(STOP_S)

    def terminate(self) -> int:
        """SIGTERM, and the exit code; fails with the log when that takes too long."""
        if self.exit_code is None:
            self.send(signal.SIGTERM)
        try:
            return self._popen.wait(STOP_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not end within {STOP_S:g} s of SIGTERM\n{self.log()}") from None

    def wait_for(self, condition: Callable[[], T], what: str, *, timeout_s: float = START_S) -> T:
        """What `condition` gives once it is true; fails with the log when the process ends or time is up."""
        deadline = time.monotonic() + timeout_s
        while not (found := condition()):
            if self.exit_code is not None:
                raise AssertionError(f"ended with {self.exit_code} before {what}\n{self.log()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {timeout_s:g} s: {what}\n{self.log()}")
            time.sleep(0.02)
        return found

    def close(self) -> None:
        """End it for good."""
        try:
            self.terminate()
        finally:
            self.kill()
            self._file.close()


@dataclass
class Gateway:
    """A running gateway."""

    process: Process
    url: str

    def healthy(self) -> bool:
        """Whether `/healthz` answers 200: Redis, broker and a worker are there."""
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/healthz", timeout=5, **LOOPBACK).status_code == 200
        return False

    def answers(self) -> bool:
        """Whether anything is answered over HTTP."""
        with suppress(httpx.HTTPError):
            httpx.get(f"{self.url}/healthz", timeout=5, **LOOPBACK)
            return True
        return False

    def wait_healthy(self) -> None:
        self.process.wait_for(self.healthy, "a healthy gateway")


@dataclass
class Stack:
    """Starts workers and gateways that belong together: one Redis, one key prefix, one secret."""

    redis: RedisServer
    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    prefix: str = "t"
    _count: int = 0

    @property
    def keys(self) -> Keys:
        return Keys(self.prefix)

    @property
    def environment(self) -> dict[str, str]:
        """What every process of the stack runs with."""
        return {
            "CHATAGENT_REDIS_URL": self.redis.url,
            "CHATAGENT_PREFIX": self.prefix,
            "CHATAGENT_SECRET_KEY": SECRET,
            "CHATAGENT_DATA_DIR": str(self.folder / "data"),
            "CHATAGENT_WARM_UP": "0",  # litellm is imported by the tests that call a model
            "PYTHONPATH": str(REPOSITORY),
            **self.env,
        }

    @contextmanager
    def worker(
        self,
        file: Path | None = None,
        *args: str,
        name: str = "",
        env: Mapping[str, str] | None = None,
        ready: bool = True,
    ) -> Iterator[Process]:
        """A Celery worker on the agents of `file`; without a file on `workers/app.py` of the repository.

        `args` go to `chatagent worker`. With `ready` it has announced itself. It is ended with SIGTERM.
        """
        name = name or self._name("worker")
        argv = [sys.executable, "-m", "chatagent.cli", "worker", *([str(file)] if file else []), "--name", name, *args]
        with self._process(name, argv, env, cwd=self.folder if file else REPOSITORY) as process:
            if ready:
                process.wait_for(lambda: self.announced(f"{name}@"), f"worker {name} announced itself")
            yield process

    @contextmanager
    def gateway(
        self, *, env: Mapping[str, str] | None = None, port: int = 0, repository: bool = True
    ) -> Iterator[Gateway]:
        """A gateway on loopback: `web/app.py` of the repository, or what the wheel brings. It answers when given."""
        port = port or free_port()
        argv = [sys.executable, "-m", "chatagent.cli", "web", "--port", str(port)]
        cwd = REPOSITORY if repository else self.folder
        with self._process(self._name("gateway"), argv, env, cwd=cwd) as process:
            gateway = Gateway(process, f"http://127.0.0.1:{port}")
            process.wait_for(gateway.answers, "the gateway answers")
            yield gateway

    def announced(self, start: str = "") -> bool:
        """Whether a worker whose name starts so has announced itself and not left."""
        with self.redis.client() as client:
            found = cast("list[bytes]", client.zrange(self.keys.workers, 0, -1))
        return any(worker.startswith(start.encode()) for worker in found)

    @contextmanager
    def _process(self, name: str, argv: list[str], env: Mapping[str, str] | None, *, cwd: Path) -> Iterator[Process]:
        output = self.folder / f"{self._name(name)}.log"
        process = Process(argv, env={**self.environment, **(env or {})}, cwd=cwd, output=output)
        try:
            yield process
        except BaseException:
            print(f"--- {name} (pid {process.pid})\n{process.log()[-20_000:]}")
            process.kill()
            raise
        finally:
            process.close()

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}-{self._count}"


@contextmanager
def serving(redis: RedisServer, agents: str) -> Iterator[Gateway]:
    """A gateway, and a worker with agents of this source, on a Redis that is emptied for them."""
    redis.flush()
    with tempfile.TemporaryDirectory(prefix="ca-stack-") as name:
        folder = Path(name)
        (folder / "agents.py").write_text(agents)
        stack = Stack(redis, folder)
        with stack.worker(folder / "agents.py"), stack.gateway() as gateway:
            gateway.wait_healthy()
            yield gateway


def free_port() -> int:
    """A port that nobody listens on now; another at each call."""
    while True:
        port = PORTS[next(_ports) % len(PORTS)]
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def _clean_environment() -> dict[str, str]:
    """Ours without settings of the developer, which would leak into tests."""
    dropped = ("CHATAGENT_", "REDIS_URL", "CELERY_")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
