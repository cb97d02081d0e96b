"""The pages of the guide lead to each other."""

from __future__ import annotations

import re

import pytest

from tests.stack import REPOSITORY

GUIDE = REPOSITORY / "docs" / "guide"


@pytest.mark.parametrize("page", sorted(path.name for path in GUIDE.glob("*.md")))
def test_the_links_of_a_page_lead_somewhere(page: str) -> None:
    text = (GUIDE / page).read_text("utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) if not target.startswith("http")]
    assert [target for target in targets if not (GUIDE / target).exists()] == []


@pytest.mark.parametrize("page", sorted(path.name for path in GUIDE.glob("*.md")))
def test_the_files_that_a_page_names_are_there(page: str) -> None:
    named = re.findall(r"`((?:workers|docs|tests|web)/[\w./-]+)`", (GUIDE / page).read_text("utf-8"))
    assert [name for name in named if not (REPOSITORY / name).exists()] == []
