"""The `chatagent` command: what it prints, and how it says no."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import chatagent.settings
from tests.cli.development import AGENT
from tests.stack import REPOSITORY, SECRET, Stack

KEY = "k" * 40


def run(*args: str, cwd: Path = REPOSITORY, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `chatagent` to its end in a clean environment."""
    return subprocess.run(
        [sys.executable, "-m", "chatagent.cli", *args],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_version_is_that_of_the_package() -> None:
    done = run("version")
    assert done.returncode == 0
    assert f'version = "{done.stdout.strip()}"' in (REPOSITORY / "pyproject.toml").read_text()


def test_settings_lists_all_with_value_default_and_meaning() -> None:
    done = run("settings", CHATAGENT_LEASE_S="7", REDIS_URL="redis://u:hidden@host:1/0", CHATAGENT_SECRET_KEY=KEY)
    assert done.returncode == 0
    for setting in chatagent.settings.described(chatagent.settings.Settings()):
        assert setting.env[0] in done.stdout and setting.description in done.stdout
    assert "CHATAGENT_LEASE_S = 7.0   [default: 15.0]" in done.stdout
    assert "redis://u:********@host:1/0" in done.stdout
    assert "hidden" not in done.stdout and KEY not in done.stdout


def test_a_misspelt_setting_is_pointed_out() -> None:
    done = run("settings", CHATAGENT_LEASE_SECONDS="7")
    assert done.returncode == 0
    assert "nothing reads CHATAGENT_LEASE_SECONDS; did you mean CHATAGENT_LEASE_S?" in done.stderr


@pytest.mark.parametrize("command", [["settings"], ["dev"], ["web"], ["worker"]])
def test_a_wrong_setting_is_named_without_a_stack_trace(command: list[str]) -> None:
    done = run(*command, CHATAGENT_LEASE_S="0", CHATAGENT_DURABILITY="paper")
    assert done.returncode == 2
    assert "error: CHATAGENT_DURABILITY: Input should be 'memory', 'disk' or 'replica'" in done.stderr
    assert "CHATAGENT_LEASE_S: Input should be greater than or equal to 1" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_gateway_wants_a_secret() -> None:
    done = run("web", "--port", "1")
    assert done.returncode == 2
    assert "error: set CHATAGENT_SECRET_KEY" in done.stderr


def test_a_broken_agent_file_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "agents.py").write_text("from chatagent import chat\nchat.agent('a')(turn)\n")
    done = run("worker", "agents.py", cwd=tmp_path)
    assert done.returncode == 2
    assert "agents.py:2: NameError: name 'turn' is not defined" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_agent_file_is_refused(tmp_path: Path) -> None:
    for command in ("worker", "dev"):
        done = run(command, "nowhere.py", cwd=tmp_path)
        assert done.returncode == 2
        assert "error: nowhere.py: no such file or folder" in done.stderr


def test_importing_the_command_loads_neither_celery_nor_litellm() -> None:
    code = (
        "import sys, chatagent.cli.app; print([name for name in ('celery', 'litellm', 'flask') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


@pytest.mark.e2e
def test_two_worker_processes_serve_and_end_together(stack: Stack) -> None:
    file = stack.folder / "agents.py"
    file.write_text(AGENT)
    with stack.worker(file, "--processes", "2", name="pair", ready=False) as process:
        process.wait_for(lambda: stack.announced("pair-1-") and stack.announced("pair-2-"), "both announced themselves")
        assert process.terminate() == 0
        assert not stack.announced()


@pytest.mark.e2e
def test_without_the_repository_worker_and_gateway_come_out_of_the_package(stack: Stack) -> None:
    file = stack.folder / "agents.py"
    file.write_text(AGENT)
    with stack.worker(file), stack.gateway(repository=False) as web:
        web.wait_healthy()
        assert SECRET not in web.process.log()
        assert web.process.terminate() == 0
