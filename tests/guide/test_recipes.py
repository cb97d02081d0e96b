"""`docs/guide/recipes.md`: its excerpts are those of the files, and its tests pass."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatagent.testing import shared
from tests.guide.page import Page
from tests.stack import REPOSITORY
from workers.agents.notebook import database

PAGE = Page("recipes")
RECIPES = ("notebook", "sandbox", "research", "approval")


def test_every_block_is_run_or_stands_in_its_file() -> None:
    assert set(PAGE.blocks) == {*RECIPES, *(f"excerpt-{name}" for name in RECIPES)}
    assert PAGE.text.count("```python") == len(PAGE.blocks)


@pytest.mark.parametrize("name", RECIPES)
def test_an_excerpt_is_what_the_file_says(name: str) -> None:
    code = (REPOSITORY / "workers" / "agents" / f"{name}.py").read_text("utf-8")
    assert PAGE.blocks[f"excerpt-{name}"] in code


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An empty SQLite."""
    monkeypatch.setenv("CHATAGENT_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("CHATAGENT_EXAMPLE_DATABASE_URL", raising=False)
    database.cache_clear()
    yield
    asyncio.run_coroutine_threadsafe(database().kw["bind"].dispose(), shared.loop).result(10)
    database.cache_clear()


@pytest.mark.usefixtures("rows")
def test_rows_of_your_own(capsys: pytest.CaptureFixture[str]) -> None:
    PAGE.run("notebook")
    assert capsys.readouterr().out == "['buy milk']\n"


def test_something_warm(capsys: pytest.CaptureFixture[str]) -> None:
    PAGE.run("sandbox")
    assert capsys.readouterr().out == "{'output': '42\\n', 'fresh': False} 1\n0\n"


def test_tasks_that_report(capsys: pytest.CaptureFixture[str]) -> None:
    PAGE.run("research")
    sources, progress = capsys.readouterr().out.splitlines()
    assert "'queue'" in sources
    assert progress == "['reading', 'done']"


def test_a_person_in_the_loop(capsys: pytest.CaptureFixture[str]) -> None:
    PAGE.run("approval")
    waiting, done = capsys.readouterr().out.splitlines()
    assert waiting == "waiting"
    assert done == "Done. {'order': '1001', 'euros': 75.0, 'granted_by': 'Ann'}"
