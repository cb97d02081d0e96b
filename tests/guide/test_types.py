"""The code of the guide is well typed, as far as it says types."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.guide.page import Page
from tests.stack import REPOSITORY

#: Pages whose blocks stand by themselves, but for a few.
PAGES = ("agents", "streams", "stopping", "state", "loops", "tasks", "tools", "long-chats", "busy", "recovery")
SKIPPED = {("tools", "tool-execute"), ("tasks", "outside")}
#: Beside `strict`: the guide leaves out what a reader does not need.
OPTIONS = ("--allow-untyped-defs", "--allow-incomplete-defs", "--allow-untyped-calls", "--allow-any-generics")


@pytest.mark.timeout(300)
def test_the_guide_is_well_typed_and_client_data_is_the_authors_model(tmp_path: Path) -> None:
    for page in map(Page, PAGES):
        for name, code in page.blocks.items():
            if (page.name, name) not in SKIPPED:
                (tmp_path / f"{page.name}_{name}.py".replace("-", "_")).write_text(code)
    typed = Page("agents").blocks["client-data"]
    (tmp_path / "wrong.py").write_text(typed.replace("turn.client_data.model", "turn.client_data.modell"))
    command = [sys.executable, "-m", "mypy", "--strict", "--check-untyped-defs", *OPTIONS, "--no-error-summary"]
    done = subprocess.run([*command, *map(str, sorted(tmp_path.glob("*.py")))], cwd=REPOSITORY, capture_output=True)
    (line,) = done.stdout.decode().splitlines()
    assert re.search(r'wrong\.py:\d+: error: "Client" has no attribute "modell"', line)
