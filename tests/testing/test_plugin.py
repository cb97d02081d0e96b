"""The plugin as others have it: an installed package, a folder with tests, nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.redis_server import RedisServer

AGENT = """
from chatagent import chat, stream_text

@chat.agent("echo")
async def echo(turn):
    return stream_text("openai/gpt-4o", turn.messages)
"""


#: Plugins of our own environment, which take seconds to import.
OTHERS = ("valkey", "cacheprovider", "schemathesis", "langsmith_plugin", "hypothesispytest", "anyio", "xdist")


def run(folder: Path, tests: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a folder with an agent and `tests`."""
    (folder / "agents.py").write_text(AGENT)
    (folder / "test_agents.py").write_text(tests)
    without = [argument for name in OTHERS for argument in ("-p", f"no:{name}")]
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", *without]
    known = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "CHATAGENT"))}
    return subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env={**known, **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_a_test_in_a_clean_folder_leaves_nothing_behind(tmp_path: Path) -> None:
    tests = """
import sys, threading
from agents import echo
from chatagent.testing import ChatAgent, TestChat, says

def test_hello(chat_agent: ChatAgent) -> None:
    chat = chat_agent(echo)
    chat.model.script(says("hello"))
    assert chat.send("hi").text == "hello"
    assert not {"litellm", "celery", "flask"} & set(sys.modules)
"""
    (tmp_path / "conftest.py").write_text(
        "import threading, pytest, glob, tempfile\n"
        "before = set(glob.glob(tempfile.gettempdir() + '/ca-test-*'))\n"
        "def pytest_sessionfinish():\n"
        "    assert [thread.name for thread in threading.enumerate()] == ['MainThread']\n"
    )
    said = run(tmp_path, tests, TMPDIR=str(tmp_path))
    assert said.returncode == 0, said.stdout + said.stderr
    assert "1 passed" in said.stdout
    assert not list(tmp_path.glob("ca-test-*"))


def test_the_plugin_costs_others_nothing(tmp_path: Path) -> None:
    tests = """
import sys

def test_without() -> None:
    ours = {name for name in sys.modules if name.startswith("chatagent")}
    assert ours == {"chatagent", "chatagent.testing", "chatagent.testing.plugin"}
"""
    said = run(tmp_path, tests)
    assert "1 passed" in said.stdout, said.stdout + said.stderr


def test_a_test_that_asks_more_of_its_model_than_it_scripted_fails_with_the_request(tmp_path: Path) -> None:
    tests = """
from agents import echo

def test_hello(chat_agent):
    chat_agent(echo).send("who are you?")
"""
    said = run(tmp_path, tests)
    assert said.returncode == 1
    assert "nothing is scripted" in said.stdout and "who are you?" in said.stdout
    assert "1 failed" in said.stdout and "error" not in said.stdout.splitlines()[-1]


def test_unittest_and_threads_and_asyncio_do_without_the_plugin(tmp_path: Path) -> None:
    tests = """
import asyncio, unittest
from agents import echo
from chatagent.testing import TestChat

class Hello(unittest.TestCase):
    def test_hello(self) -> None:
        with TestChat(echo) as chat:
            chat.model.script("hello")
            self.assertEqual(chat.send("hi").text, "hello")

class AsyncHello(unittest.IsolatedAsyncioTestCase):
    async def test_hello(self) -> None:
        with TestChat(echo) as chat:
            chat.model.script("hello")
            answer = await asyncio.to_thread(chat.send, "hi")
            self.assertEqual(answer.text, "hello")
"""
    said = run(tmp_path, tests, "-p", "no:chatagent")
    assert "2 passed" in said.stdout, said.stdout + said.stderr
    said = subprocess.run(
        [sys.executable, "-W", "error", "-m", "unittest", "-q", "test_agents"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert said.returncode == 0 and "Warning" not in said.stderr, said.stderr


def test_a_redis_of_ones_own_keeps_its_keys_and_loses_ours(tmp_path: Path, own_redis: RedisServer) -> None:
    tests = """
from agents import echo

def test_hello(chat_agent):
    chat = chat_agent(echo)
    chat.model.script("hello")
    chat.send("hi")
"""
    with own_redis.client() as client:
        client.set("mine", "1")
        said = run(tmp_path, tests, CHATAGENT_TEST_REDIS_URL=own_redis.url)
        assert "1 passed" in said.stdout, said.stdout + said.stderr
        assert client.keys("*") == [b"mine"]
        commands = client.info("commandstats")
    assert "cmdstat_unlink" in commands


def test_consumers_see_types(tmp_path: Path) -> None:
    (tmp_path / "typed.py").write_text(
        "from chatagent import chat as c\n"
        "from chatagent.testing import Answer, ChatAgent, says\n"
        "agent: c.Agent[None] = c.Agent('a', lambda turn: '')\n"
        "def test(chat_agent: ChatAgent) -> None:\n"
        "    chat = chat_agent(agent, user='ada')\n"
        "    chat.model.script(says('x'))\n"
        "    answer: Answer = chat.send('hi')\n"
        "    text: int = answer.text\n"
    )
    said = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "typed.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert said.stdout.count("error:") == 1 and "typed.py:8" in said.stdout, said.stdout
