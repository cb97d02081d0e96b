"""The deployable lines: each of the Procfile, and Flower on the same app, started as a platform would."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import httpx
import pytest

from tests.loopback import LOOPBACK
from tests.stack import REPOSITORY, Gateway, Process, Stack, free_port

pytestmark = pytest.mark.e2e


def start(stack: Stack, name: str, command: str, **env: str) -> Process:
    """Run a shell line in the repository, with the programs of this environment on PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return Process(
        ["sh", "-c", f"exec {command}"],
        env={**stack.environment, "PATH": path, **env},
        cwd=REPOSITORY,
        output=stack.folder / f"{name}.log",
    )


def lines() -> dict[str, str]:
    """The Procfile: process type → command."""
    entries = (line.partition(": ") for line in (REPOSITORY / "Procfile").read_text().splitlines() if line)
    return {name: command for name, _, command in entries}


def test_the_lines_of_the_procfile_make_a_healthy_deployment(stack: Stack) -> None:
    assert set(lines()) == {"web", "worker"}
    port = free_port()
    worker = start(stack, "worker", lines()["worker"])
    web = start(stack, "web", lines()["web"], PORT=str(port), WEB_CONCURRENCY="2")
    try:
        worker.wait_for(stack.announced, "a worker announced itself")
        Gateway(web, f"http://127.0.0.1:{port}").wait_healthy()
        agents = httpx.get(
            f"http://127.0.0.1:{port}/api/agents",
            headers={"Authorization": f"Bearer {stack.environment['CHATAGENT_SECRET_KEY']}"},
            **LOOPBACK,
        )
        served = ["assistant", "weather", "notebook", "sandbox", "research", "approval"]
        assert [agent["id"] for agent in agents.raise_for_status().json()["agents"]] == served
        assert web.terminate() == 0
        assert worker.terminate() == 0
        assert not stack.announced(), "a worker that ends in good order signs off"
    finally:
        web.close()
        worker.close()


def test_flower_runs_on_the_same_app(stack: Stack) -> None:
    port = free_port()
    flower = start(stack, "flower", f"celery -A workers.app flower --address=127.0.0.1 --port={port}")
    try:
        flower.wait_for(lambda: "Visit me" in flower.log() or "Connected to" in flower.log(), "Flower is up")
        client = httpx.Client(**LOOPBACK, timeout=30)
        with client:
            assert client.get(f"http://127.0.0.1:{port}/healthcheck").text == "OK"
    finally:
        flower.close()
