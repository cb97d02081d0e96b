"""Agent files: what they define is found, and what is wrong with them is said with its line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from chatagent.agent import Agent
from chatagent.cli.agentfile import load_served
from chatagent.errors import ConfigError

ONE = """
from chatagent import chat

@chat.agent("{id}")
async def answer(turn):
    return "hello"
"""


@pytest.fixture(autouse=True)
def _fresh_imports() -> Iterator[None]:
    path, modules = sys.path[:], set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text))
    return path


def test_a_file_gives_its_agents(tmp_path: Path) -> None:
    file = write(tmp_path / "agents.py", ONE.format(id="first") + ONE.format(id="second").replace("answer", "other"))
    assert [agent.id for agent in load_served(file)] == ["first", "second"]


def test_a_file_gives_its_tasks_with_its_agents(tmp_path: Path) -> None:
    tasks = "from chatagent import task\n@task('job')\ndef job(n: int) -> int:\n    return n\n"
    file = write(tmp_path / "agents.py", ONE.format(id="a") + tasks)
    assert [each.id for each in load_served(file)] == ["a", "job"]
    with pytest.raises(ConfigError, match="no agent"):
        load_served(write(tmp_path / "tasks.py", tasks))


def test_a_folder_gives_the_agents_of_its_files(tmp_path: Path) -> None:
    write(tmp_path / "a.py", ONE.format(id="from-a"))
    write(tmp_path / "b.py", ONE.format(id="from-b"))
    write(tmp_path / "_hidden.py", "raise RuntimeError('not for me')")
    assert [agent.id for agent in load_served(tmp_path)] == ["from-a", "from-b"]


def test_a_file_may_import_its_neighbour(tmp_path: Path) -> None:
    write(tmp_path / "neighbour_of_agents.py", "GREETING = 'hi'")
    file = write(tmp_path / "agents.py", "from neighbour_of_agents import GREETING\n" + ONE.format(id="a"))
    assert load_served(file)[0].id == "a"


def test_a_file_in_a_package_may_import_relatively(tmp_path: Path) -> None:
    write(tmp_path / "shop" / "__init__.py", "")
    write(tmp_path / "shop" / "words.py", "GREETING = 'hi'")
    file = write(tmp_path / "shop" / "agents.py", "from .words import GREETING\n" + ONE.format(id="a"))
    (agent,) = load_served(file)
    assert isinstance(agent, Agent)
    assert agent.run.__module__ == "shop.agents"


def test_a_file_may_carry_the_name_of_a_library(tmp_path: Path) -> None:
    file = write(tmp_path / "redis.py", ONE.format(id="a"))
    assert load_served(file)[0].id == "a"


def test_the_same_agent_seen_twice_is_one_agent(tmp_path: Path) -> None:
    write(tmp_path / "a_shared_agent.py", ONE.format(id="a"))
    file = write(tmp_path / "agents.py", "from a_shared_agent import answer\nalso = answer\n")
    assert len(load_served(file)) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\nboom\n", r"agents\.py:2: NameError: name 'boom' is not defined"),
        ("x = (\n", r"agents\.py:1: SyntaxError: '\(' was never closed"),
        ("import no_such_module_here\n", r"agents\.py:1: ModuleNotFoundError: No module named 'no_such_module_here'"),
        ("def f():\n    raise ValueError('deep')\nf()\n", r"agents\.py:2: ValueError: deep\n  File .* line 3"),
        ("import sys\nsys.exit(0)\n", r"agents\.py:2: the file calls sys\.exit"),
        ("x = 1\n", r"no agent in it; decorate a function with @chat\.agent"),
        (
            "from chatagent import chat\n@chat.agent('no spaces please')\nasync def a(turn): ...\n",
            r"use letters, digits",
        ),
    ],
)
def test_a_broken_file_is_explained_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "agents.py"
    file.write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_served(file)


def test_two_agents_with_one_id_are_refused_and_both_places_named(tmp_path: Path) -> None:
    write(tmp_path / "a.py", ONE.format(id="same"))
    write(tmp_path / "b.py", ONE.format(id="same"))
    with pytest.raises(ConfigError, match=r"b\.py: the id 'same' is taken in .*a\.py"):
        load_served(tmp_path)


@pytest.mark.parametrize("name", ["missing.py", "notes.txt", "empty"])
def test_a_path_without_python_files_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path / "notes.txt", "")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=name):
        load_served(tmp_path / name)
