"""`docs/reference.md` is what its script makes of the code."""

from __future__ import annotations

import os
import subprocess
import sys

import chatagent
from chatagent import chat
from tests.stack import REPOSITORY

TEXT = (REPOSITORY / "docs" / "reference.md").read_text("utf-8")


def test_the_reference_is_what_the_code_says() -> None:
    command = [sys.executable, str(REPOSITORY / "docs" / "make_reference.py"), "--check"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert ran.returncode == 0, ran.stderr


def test_every_public_name_has_its_entry() -> None:
    for section, names in (("chatagent", chatagent.__all__), ("chatagent.chat", chat.__all__)):
        told = TEXT.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
        assert [name for name in names if f"\n### `{name}`\n" not in told] == []


def test_entries_have_signatures_docstrings_and_comments() -> None:
    assert "stream_text(\n    model: str,\n    messages: Sequence[Message],\n    *,\n" in TEXT
    assert "How long a run waits for the next message, warm or suspended (1 h)." in TEXT, "docs of options"
    assert "| `max_attempts` | `int` | Default: `3`. |" in TEXT, "defaults of dataclasses"
    assert "Tokens (and cost, where it is known) of the turn before this one" in TEXT, "comments of fields"
    assert "| `CHATAGENT_LEASE_S` | `15.0` | seconds a silent worker keeps its chat |" in TEXT
    assert "### `chatagent sessions tail CHAT`" in TEXT
