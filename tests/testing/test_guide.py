"""The code of the guide, run as it stands."""

from __future__ import annotations

import re
import unittest
from collections.abc import Callable
from typing import Any

import pytest

from chatagent.testing import ChatAgent
from tests.stack import REPOSITORY

GUIDE = (REPOSITORY / "docs" / "guide" / "testing.md").read_text("utf-8")
SNIPPETS = dict(re.findall(r"<!-- test: (\w+) -->\n```python\n(.*?)```", GUIDE, re.DOTALL))
ORDER = ("agent", "conversation", "context", "model", "verbs", "time")


def space() -> dict[str, Any]:
    """The names that the guide's code makes."""
    names: dict[str, Any] = {"__name__": "guide"}
    for name in ORDER:
        exec(compile(SNIPPETS[name], f"testing.md: {name}", "exec"), names)
    return names


NAMES = space()
TESTS = [name for name in NAMES if name.startswith("test_")]


def test_every_python_block_of_the_guide_is_run_by_a_test() -> None:
    assert set(SNIPPETS) == set(ORDER)
    assert GUIDE.count("```python") == len(SNIPPETS)
    assert len(TESTS) == SNIPPETS["conversation"].count("def test_") + sum(
        SNIPPETS[name].count("\ndef test_") for name in ("model", "verbs", "time")
    )


@pytest.mark.parametrize("name", TESTS)
def test_a_test_of_the_guide(name: str, chat_agent: ChatAgent) -> None:
    test: Callable[[ChatAgent], None] = NAMES[name]
    test(chat_agent)


def test_the_test_case_of_the_guide() -> None:
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(NAMES["Support"]).run(result)
    assert (result.testsRun, result.wasSuccessful()) == (1, True), result.errors
