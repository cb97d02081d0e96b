"""Promises of the repository as a whole: what is tracked, what is public, what the wheel holds."""

from __future__ import annotations

import ast
import importlib
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import chatagent
from tests.stack import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
#: Lines of a module, and of a function.
LONGEST_MODULE = 400
LONGEST_FUNCTION = 60


def tracked(*patterns: str) -> list[Path]:
    """Files of the repository that git knows and that are there."""
    if not (REPOSITORY / ".git").exists():
        pytest.skip("this is not a git checkout")
    said = subprocess.run(
        ["git", "ls-files", "-z", "--", *patterns], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    return [path for name in said.split("\0") if name and (path := REPOSITORY / name).is_file()]


def modules() -> list[Path]:
    return tracked("chatagent/*.py", "web/*.py", "workers/*.py")


def test_lock_files_name_no_host() -> None:
    locks = tracked("requirements*.lock", "*package-lock.json")
    assert len(locks) >= 4
    for lock in locks:
        resolved = [line for line in lock.read_text().splitlines() if '"resolved"' in line or line.startswith("--")]
        assert resolved == [], f"{lock.name} names where packages come from"
        if lock.suffix == ".lock":
            assert "://" not in lock.read_text(), lock.name


def test_every_package_of_the_lock_has_a_version_and_hashes() -> None:
    for lock in tracked("requirements*.lock"):
        entries = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", lock.read_text(), flags=re.MULTILINE).strip())
        assert entries and all(re.match(r"[a-z0-9._\[\]-]+==\S+", entry) for entry in entries), lock.name
        assert all("--hash=sha256:" in entry for entry in entries), lock.name


def test_the_lock_holds_every_dependency() -> None:
    locked = set(re.findall(r"^([a-z0-9._-]+)==", (REPOSITORY / "requirements.lock").read_text(), re.MULTILINE))
    for wanted in PROJECT["project"]["dependencies"]:
        name = re.split(r"[\[<>=~!; ]", wanted)[0].lower()
        assert name in locked, f"{name} is not locked; run `make lock`"


def test_nothing_tracked_is_large_or_made_by_a_build() -> None:
    for path in tracked():
        assert path.stat().st_size < 2_000_000, path
        assert not {"node_modules", "__pycache__", ".venv", "dist"} & set(path.relative_to(REPOSITORY).parts), path


def test_every_public_name_is_there_and_nothing_else_is_public() -> None:
    for name in chatagent.__all__:
        assert getattr(chatagent, name) is not None
    assert sorted(chatagent.__all__) == list(chatagent.__all__), "keep __all__ sorted"
    lazy = set(vars(chatagent).get("_HOMES", {}))
    assert lazy == set(chatagent.__all__)


@pytest.mark.parametrize(
    "package",
    ["agent", "celery", "chat", "flask", "llm", "redis", "ui"],
)
def test_every_name_that_a_package_promises_exists(package: str) -> None:
    module = importlib.import_module(f"chatagent.{package}")
    for name in getattr(module, "__all__", ()):
        assert hasattr(module, name), f"chatagent.{package}.{name}"


def test_the_changelog_tells_of_this_version() -> None:
    heads = re.findall(r"^## \[?([^\]\s]+)\]?", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)
    versions = [head for head in heads if head != "Unreleased"]
    assert versions[0] == PROJECT["project"]["version"]


def test_modules_and_functions_stay_readable() -> None:
    for path in modules():
        text = path.read_text()
        assert len(text.splitlines()) <= LONGEST_MODULE, f"{path}: which noun is hiding?"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                assert lines <= LONGEST_FUNCTION, f"{path}:{node.lineno}: {node.name} has {lines} lines"


def test_every_module_opens_with_its_purpose() -> None:
    for path in modules():
        assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"


def test_the_repository_names_nothing_outside_itself() -> None:
    siblings = [f"../{path.name}/" for path in REPOSITORY.parent.iterdir() if path != REPOSITORY and path.is_dir()]
    outside = [f"{REPOSITORY}/", f"{Path.home()}/", *siblings]
    for path in tracked("*.py", "*.toml", "Makefile", ".ci/run", "*.mjs", "*.ts", "*.tsx", "*.md", "Procfile"):
        text = path.read_text(errors="replace")
        # In a folder of the repository `../name/` may well be a neighbour.
        assert not [place for place in outside if place in text and not (path.parent / place).exists()], path


def test_the_wheel_installs_chatagent_and_nothing_else(tmp_path: Path) -> None:
    # Given a copy of what git knows (and the built page), so that the build leaves nothing here
    for path in tracked("chatagent", "pyproject.toml", "README.md", "LICENSE"):
        copy = tmp_path / "source" / path.relative_to(REPOSITORY)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    page = tmp_path / "source" / "chatagent" / "flask" / "static" / "assets" / "index.js"
    page.parent.mkdir(parents=True)
    page.write_text("// the page")

    # When the wheel is built, with what is installed here
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    built = subprocess.run(
        [*command, "-w", str(tmp_path), str(tmp_path / "source")],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert built.returncode == 0, built.stderr

    # Then it holds the library alone, with all that is not Python
    (wheel,) = tmp_path.glob("chatagent-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"chatagent"}
    scripts = {f"chatagent/redis/lua/{path.name}" for path in tracked("chatagent/redis/lua/*.lua")}
    assert scripts and scripts <= set(names)
    assert {"chatagent/py.typed", "chatagent/flask/static/assets/index.js"} <= set(names)
    assert not [name for name in names if "tests" in name or name.endswith((".pyc", ".ts", ".map"))]
