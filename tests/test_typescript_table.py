"""The table from TypeScript to Python: every Python name in it exists."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import pytest

import chatagent
from chatagent.agent.agent import AgentKeywords
from chatagent.agent.turn import Turn
from tests.stack import REPOSITORY

_TABLE = (REPOSITORY / "docs" / "typescript.md").read_text("utf-8").split("## What is not here")[0]
_ROWS = [line.strip("|").split(" | ") for line in _TABLE.replace("\\|", "/").splitlines() if line.startswith("| ")]
_PYTHON = [row[1].strip() for row in _ROWS if row[0].strip() != "TypeScript"]
#: `chat.history.set`, `ai.tool`, `sessions.start`, `turn.signal` as they stand in code.
_NAMES = sorted(
    {
        name
        for cell in _PYTHON
        for code in re.findall(r"`([^`]+)`", cell)
        for name in re.findall(r"(?<![\w.\"])(?:chat|ai|sessions|auth|turn)(?:\.[A-Za-z_]+)+", code)
    }
)


def _find(name: str) -> Any:
    head, *rest = name.split(".")
    found: Any = Turn if head == "turn" else getattr(chatagent, head)
    for each in rest:
        if found is Turn and each in Turn.__dataclass_fields__:
            return Turn.__dataclass_fields__[each]
        found = getattr(found, each) if not isinstance(found, str) else import_module(found)
    return found


@pytest.mark.parametrize("name", _NAMES)
def test_a_name_of_the_table_exists(name: str) -> None:
    if name.startswith("chat.history."):
        assert hasattr(chatagent.chat.History, name.removeprefix("chat.history."))
    elif name.startswith("turn."):
        methods = ("complete",)  # of the turns of a custom loop
        attribute = name.split(".")[1]
        assert attribute in Turn.__dataclass_fields__ or hasattr(Turn, attribute) or attribute in methods
    else:
        assert _find(name) is not None


def test_the_hooks_and_options_of_the_table_are_those_of_agents() -> None:
    options = set(re.findall(r"`(\w+)=", " ".join(_PYTHON)))
    known = set(AgentKeywords.__annotations__)
    wanted = {"data_parts", "message_metadata_schema", "stream_options", "concurrency_limit", "max_attempts", "queue"}
    assert wanted <= options & (known | {"client_data"})
