"""The Redis that `chatagent dev` brings along: one private server per data directory, shared by all who run there.

Three locks keep it right. `server.lock` is held by the server itself (it inherits the open file), so a free one means
that no server lives, whatever a crash left lying about. Every user holds `users.lock` shared; whoever gets it alone on
the way out was the last and shuts the server down. `start.lock` lets one process at a time look and act.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from chatagent.errors import ConfigError
from chatagent.redis.binary import find_binary

logger = logging.getLogger(__name__)

#: Bytes of a unix socket's path that every system takes (Linux 107, macOS 103).
_LONGEST_SOCKET = 100
#: A path that needs no quoting in the URLs of redis-py and kombu.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9._/+-]+")
#: Seconds for a server to load its data and answer, and to end.
_START_S = 60.0
_STOP_S = 15.0


class EmbeddedRedis:
    """This process's share of the server of `folder`: `acquire` it, `revive` it when it died, `release` it.

    Without `durable` it keeps its data in memory alone.
    """

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.folder = folder.absolute()
        self._durable = durable
        #: Where it answers; empty before `acquire`.
        self.url = ""
        #: Program and version.
        self.about = ""
        #: Whether it ran already when we came.
        self.joined = False
        self._pid = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._users: IO[str] | None = None

    def acquire(self) -> None:
        """Join the running server or start one. Raises: ConfigError when neither works."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        with self._start_lock():
            self._users = (self.folder / "users.lock").open("a")
            fcntl.flock(self._users, fcntl.LOCK_SH)
            self._join_or_start()

    def alive(self) -> bool:
        """Whether the server lives; cheap enough to ask every second."""
        if self._child is not None:
            return self._child.poll() is None
        return _listens(self.url)

    def revive(self) -> None:
        """Start the server again after it died, at the same address. Raises: ConfigError."""
        with self._start_lock():
            self._join_or_start()

    def release(self) -> bool:
        """Give up our share; the last one shuts the server down. Returns whether it is down."""
        if self._users is None:
            return False
        with self._start_lock(), self._users as users:
            self._users = None
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            self._shut_down()
            return True

    def _join_or_start(self) -> None:
        lock = _try_lock(self.folder / "server.lock") or self._join()
        if lock is not None:
            with lock:
                self._start(lock)

    def _join(self) -> IO[str] | None:
        """Take the address of the server that holds the lock; returns the lock if that server was on its way out."""
        self._child = None
        deadline = time.monotonic() + _STOP_S
        while time.monotonic() < deadline:
            with suppress(OSError, ValueError, KeyError):
                state = json.loads(self._state.read_text())
                self.url, self.about = str(state["url"]), str(state["about"])
                if self._answers() is None:
                    self.joined = True
                    return None
            lock = _try_lock(self.folder / "server.lock")
            if lock is not None:
                return lock
            time.sleep(0.02)
        raise ConfigError(f"the Redis server of {self.folder} is alive but does not answer; end it")

    def _start(self, lock: IO[str]) -> None:
        """Start a server that inherits the lock."""
        binary = find_binary()
        self.about, self.joined = str(binary), False
        password, port = self._address()
        (self.folder / "redis.sock").unlink(missing_ok=True)
        config = self.folder / "redis.conf"
        _write_private(config, self._config(password, port))
        _write_private(self._state, json.dumps({"url": self.url, "about": self.about}))
        self._child = subprocess.Popen(
            [binary.path, str(config)],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            pass_fds=[lock.fileno()],
            start_new_session=True,
        )
        self._await_answer()

    def _address(self) -> tuple[str, int]:
        """Choose `url`: a unix socket, or where its path would not do a port on loopback with a password.

        A server that is started again keeps its address, so that clients find it.
        """
        path = str(self.folder / "redis.sock")
        if len(path.encode()) <= _LONGEST_SOCKET and _PLAIN_PATH.fullmatch(path):
            self.url = f"unix://{path}?db=0"
            return "", 0
        old = re.fullmatch(r"redis://:(\w+)@127\.0\.0\.1:(\d+)/0", self.url)
        password, port = (old[1], int(old[2])) if old else (secrets.token_hex(16), _free_port())
        self.url = f"redis://:{password}@127.0.0.1:{port}/0"
        return password, port

    def _config(self, password: str, port: int) -> str:
        """The server's configuration; in a file, because arguments are for all to see."""
        options = {
            "port": str(port),
            "daemonize": "no",
            "dir": str(self.folder),
            "logfile": str(self.folder / "redis.log"),
            "appendonly": "yes" if self._durable else "no",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        if port:
            options |= {"bind": "127.0.0.1", "requirepass": password}
        else:
            options |= {"unixsocket": str(self.folder / "redis.sock"), "unixsocketperm": "700"}
        return "".join(f"{name} {json.dumps(value, ensure_ascii=False)}\n" for name, value in options.items())

    def _await_answer(self) -> None:
        deadline = time.monotonic() + _START_S
        while (error := self._answers()) is not None:
            if not self.alive() or time.monotonic() > deadline:
                log = self.folder / "redis.log"
                raise ConfigError(f"{self.about} does not answer ({error}); see {log}\n{_tail(log)}")
            time.sleep(0.01)

    def _answers(self) -> redis.RedisError | None:
        """Learn the server's process id; the error while it does not listen or still loads its data."""
        client = _client(self.url)
        try:
            client.ping()  # unlike INFO, refused while the data is loaded
            self._pid = int(client.info("server")["process_id"])
        except redis.RedisError as error:
            return error
        finally:
            client.close()
        return None

    def _shut_down(self) -> None:
        """Ask the server to end, and make it."""
        client = _client(self.url)
        with suppress(redis.RedisError):  # it may be dead already
            client.shutdown()
        client.close()
        lock = self.folder / "server.lock"
        try:
            _wait_lock(lock, _STOP_S, "").close()
        except ConfigError:
            logger.warning("redis did not end within %d s and is killed", _STOP_S)
            os.kill(self._pid, signal.SIGKILL)
        if self._child is not None:
            self._child.wait(_STOP_S)
        self._state.unlink(missing_ok=True)

    @property
    def _state(self) -> Path:
        return self.folder / "server.json"

    @contextmanager
    def _start_lock(self) -> Iterator[None]:
        path = self.folder / "start.lock"
        with _wait_lock(path, _START_S, f"another process has held {path} for a minute; end it"):
            yield


def _try_lock(path: Path) -> IO[str] | None:
    """The file, locked until it is closed; None while another process has it."""
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def _wait_lock(path: Path, patience_s: float, refusal: str) -> IO[str]:
    """The file, locked until it is closed. Raises: ConfigError with `refusal` when that takes too long."""
    deadline = time.monotonic() + patience_s
    while (lock := _try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise ConfigError(refusal)
        time.sleep(0.02)
    return lock


def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url, protocol=2, socket_timeout=5, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0)
    )


def _write_private(path: Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _listens(url: str) -> bool:
    """Whether somebody accepts connections there."""
    parts = urlsplit(url)
    family = socket.AF_UNIX if parts.scheme == "unix" else socket.AF_INET
    with socket.socket(family) as probe:
        probe.settimeout(2)
        try:
            probe.connect(parts.path if family == socket.AF_UNIX else (parts.hostname, parts.port))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except TimeoutError:  # too busy to accept: alive
            return True
    return True


def _tail(path: Path, lines: int = 5) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""
