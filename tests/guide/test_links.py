"""The pages lead to each other, to headings that are there, and to files that are there; no page is lost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.stack import REPOSITORY

DOCS = REPOSITORY / "docs"
README = REPOSITORY / "README.md"
#: All pages, by their path in the repository.
PAGES = [
    str(path.relative_to(REPOSITORY)) for path in (README, REPOSITORY / "CHANGELOG.md", *sorted(DOCS.rglob("*.md")))
]
#: What GitHub leaves out of a heading's anchor.
_NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")
_CODE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def links(page: Path) -> list[tuple[str, str]]:
    """Targets of a page's links within the repository: path and anchor, either may be empty."""
    found = re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", _CODE.sub("", page.read_text("utf-8")))
    return [(target, anchor) for target, anchor in found if not target.startswith("http")]


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links."""
    heads = re.findall(r"^#+ (.+)$", _CODE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {_NOT_IN_ANCHORS.sub("", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("name", PAGES)
def test_the_links_of_a_page_lead_somewhere(name: str) -> None:
    page = REPOSITORY / name
    for target, anchor in links(page):
        place = (page.parent / target) if target else page
        assert place.exists(), f"{name} -> {target}"
        if anchor:
            assert anchor in anchors(place), f"{name} -> {target}#{anchor}"


@pytest.mark.parametrize("name", [name for name in PAGES if name.startswith("docs/guide/")])
def test_the_files_that_a_page_names_are_there(name: str) -> None:
    named = re.findall(r"`((?:workers|docs|tests|web)/[\w./-]+)`", (REPOSITORY / name).read_text("utf-8"))
    assert [each for each in named if not (REPOSITORY / each).exists()] == []


def test_every_page_is_found_from_the_readme() -> None:
    todo, seen = [README], {README}
    while todo:
        page = todo.pop()
        for target, _ in links(page):
            place = (page.parent / target).resolve() if target else page
            place = place / "README.md" if place.is_dir() else place
            if place.suffix == ".md" and place.exists() and place not in seen:
                seen.add(place)
                todo.append(place)
    assert [name for name in PAGES if REPOSITORY / name not in seen] == []
