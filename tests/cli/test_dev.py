"""`chatagent dev`: everything in one command, and nothing of it left behind."""

from __future__ import annotations

import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from chatagent.redis.connection import connect
from chatagent.redis.directory import Directory
from chatagent.redis.keys import Keys
from chatagent.settings import Settings
from tests.cli.development import AGENT, Development
from tests.loopback import LOOPBACK
from tests.stack import REPOSITORY, wait_until

pytestmark = pytest.mark.e2e

SLEEPER = """
import asyncio
from chatagent import chat

@chat.agent("sleeper")
async def sleeper(turn):
    print("the sleeper sleeps", flush=True)
    await asyncio.sleep(600)
    yield "good morning"
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder with a short path, with an agent file in it."""
    path = Path(tempfile.mkdtemp(prefix="ca-dev-"))
    (path / "agents.py").write_text(AGENT)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def dev(folder: Path) -> Iterator[Callable[..., Development]]:
    """Starts `chatagent dev` in the folder; all are gone at the end."""
    started: list[Development] = []

    def start(*args: str, **options: object) -> Development:
        started.append(Development(folder, *args, **options))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for one in started:
        one.close()


def redis_pid(folder: Path) -> int:
    """The process that holds the folder's Redis socket."""
    for process in psutil.process_iter(["cmdline"]):
        if str(folder / ".chatagent" / "redis") in " ".join(process.info["cmdline"] or ()):
            return int(process.pid)
    raise AssertionError("no Redis of this folder runs")


def worker_names(folder: Path) -> set[str]:
    """The workers that live, without their machine."""
    store = connect(f"unix://{folder}/.chatagent/redis/redis.sock")
    try:
        return {name.partition("@")[0] for name in Directory(store, Keys(Settings().prefix)).live_workers()}
    finally:
        store.close()


def listening(one: Development) -> set[str]:
    """The addresses at which its processes listen."""
    return {
        connection.laddr.ip
        for process in psutil.Process(one.process.pid).children(recursive=True)
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }


def test_one_command_answers_a_message_and_ctrl_c_leaves_nothing_but_the_chats(
    dev: Callable[..., Development], folder: Path
) -> None:
    # Given one that is asked something, on loopback alone
    one = dev("agents.py")
    one.wait_ready()
    assert one.healthy()
    assert listening(one) == {"127.0.0.1"}
    assert one.ask("hello") == "You said: hello"
    assert "<html" in httpx.get(f"{one.url}/", **LOOPBACK).text.lower()
    secret = folder / ".chatagent" / "secret_key"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    # When it is ended
    assert one.end(signal.SIGINT) == 0
    assert one.orphans() == []
    assert "Traceback" not in one.log()
    # Then the chat is there again the next day
    next_day = dev("agents.py")
    next_day.wait_ready()
    with httpx.Client(base_url=next_day.url, **LOOPBACK) as client:
        token = client.post("/api/playground/token").json()["token"]
        listed = client.get("/api/v1/sessions", headers={"Authorization": f"Bearer {token}"}).raise_for_status()
    assert "chat-" in listed.text


def test_without_a_file_the_demo_agent_answers(dev: Callable[..., Development]) -> None:
    one = dev()
    one.wait_ready()
    assert len(one.ask("What is chatagent?")) > 20
    assert one.end(signal.SIGTERM) == 0
    assert one.orphans() == []


def test_a_taken_port_is_refused_with_a_way_out(dev: Callable[..., Development]) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        one = dev("agents.py", port=holder.getsockname()[1])
        assert one.wait_end() == 2
    assert f"error: port {one.port} is in use" in one.log()
    assert "chatagent dev --port" in one.log()


def test_a_second_one_in_the_folder_shares_redis_and_outlives_the_first(
    dev: Callable[..., Development], folder: Path
) -> None:
    first = dev("agents.py")
    first.wait_ready()
    pid = redis_pid(folder)
    (folder / "slow.py").write_text(f"import time\ntime.sleep(2)  # its worker is up after its gateway\n{AGENT}")
    second = dev("slow.py")
    second.wait_ready()
    assert "shared with another chatagent" in second.log()
    assert redis_pid(folder) == pid
    assert worker_names(folder) >= {f"worker-{each.process.pid}" for each in (first, second)}, "ready means its own"
    assert first.end() == 0
    assert second.healthy() and second.ask("still there?") == "You said: still there?"
    assert second.end() == 0
    assert first.orphans() == second.orphans() == []


def test_without_redis_on_path_it_brings_its_own(dev: Callable[..., Development], folder: Path) -> None:
    (folder / "bin").mkdir()
    one = dev("agents.py", "--data", "elsewhere", env={"PATH": str(folder / "bin")})
    one.wait_ready()
    assert "valkey-server 9" in one.log()
    assert (folder / "elsewhere" / "redis" / "redis.sock").exists()
    assert one.ask("hi") == "You said: hi"
    assert one.end() == 0
    assert one.orphans() == []


def test_what_dies_is_started_again_and_said(dev: Callable[..., Development], folder: Path) -> None:
    one = dev("agents.py")
    one.wait_ready()

    one.child("chatagent.cli.serve").kill()
    one.wait_log(r"worker +\| was killed by SIGKILL; starting it again")
    one.child("gunicorn").kill()
    one.wait_log(r"gateway +\| was killed by SIGKILL; starting it again")
    psutil.Process(redis_pid(folder)).kill()
    one.wait_log(r"redis +\| .* is back")

    one.process.wait_for(one.healthy, "health after all deaths")
    assert one.ask("again") == "You said: again"
    assert one.end() == 0
    assert one.orphans() == []


def test_a_killed_one_takes_its_processes_along_and_the_next_heals(
    dev: Callable[..., Development], folder: Path
) -> None:
    first = dev("agents.py")
    first.wait_ready()
    first.process.send(signal.SIGKILL)
    wait_until(lambda: len(first.orphans(0)) <= 1, "worker and gateway ended")
    assert all("redis" in left for left in first.orphans(0)), "Redis alone may wait for the next"

    second = dev("agents.py")
    second.wait_ready()
    assert second.ask("hello") == "You said: hello"
    assert second.end() == 0
    assert second.orphans() == first.orphans() == []


def test_a_broken_file_ends_it_with_the_line_of_the_mistake(dev: Callable[..., Development], folder: Path) -> None:
    (folder / "agents.py").write_text("x = 1\nboom\n")
    one = dev("agents.py")
    assert one.wait_end() == 1
    assert "agents.py:2: NameError: name 'boom' is not defined" in one.log()
    assert one.orphans() == []


def test_a_redis_that_does_not_answer_is_named(dev: Callable[..., Development]) -> None:
    one = dev("agents.py", "--redis", "redis://:secret@127.0.0.1:1/0")
    assert one.wait_end() == 2
    assert "error: no Redis answers at redis://:********@127.0.0.1:1/0" in one.log()


def test_a_redis_of_ones_own_is_used_and_left_running(dev: Callable[..., Development], redis_url: str) -> None:
    one = dev("agents.py", env={"REDIS_URL": redis_url})
    one.wait_ready()
    assert f"using {redis_url}" in one.log()
    assert one.ask("hi") == "You said: hi"
    assert one.end() == 0


def test_a_second_ctrl_c_does_not_wait_for_running_turns(dev: Callable[..., Development], folder: Path) -> None:
    (folder / "agents.py").write_text(SLEEPER)
    one = dev("agents.py", env={"CHATAGENT_GRACE_S": "300"})
    one.wait_ready()

    def ask() -> None:
        with suppress(httpx.HTTPError):  # the gateway ends before the answer does
            one.ask("sleep")

    asking = threading.Thread(target=ask)
    asking.start()
    one.wait_log("the sleeper sleeps")
    one.note_children()
    one.process.send(signal.SIGINT)
    one.wait_log("stopping")
    assert one.end(signal.SIGINT) == 0
    assert one.orphans() == []
    asking.join(30)


def test_it_ends_when_nobody_reads_its_output(folder: Path) -> None:
    command = [sys.executable, "-m", "chatagent.cli", "dev", "agents.py", "--port", "0", "--no-open"]
    one = subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PYTHONPATH": str(REPOSITORY), "CHATAGENT_WARM_UP": "0", "PATH": "/usr/bin:/bin"},
        start_new_session=True,
    )
    try:
        assert one.stdout is not None
        one.stdout.readline()
        one.stdout.close()
        assert one.wait(60) == 0
    finally:
        one.kill()
        one.wait()
