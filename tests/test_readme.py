"""The README's code, run as it stands: only the address of Redis is another."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from flask import Flask

from chatagent.redis.connection import broker_url, connect
from chatagent.redis.directory import Directory
from chatagent.redis.keys import Keys
from tests.redis_server import RedisServer
from tests.stack import REPOSITORY, Process, wait_until

README = (REPOSITORY / "README.md").read_text("utf-8")
_SNIPPET = re.compile(r"<!-- test: (\w+) -->\n```python\n(.*?)```", re.DOTALL)
#: The files, by the commands that run them.
_CELERY = re.findall(r"`celery -A (\w+) worker", README)[0]
_FLASK = re.findall(r"`gunicorn -c python:\S+ (\w+):app`", README)[0]
_ADDRESS = "redis://localhost:6379/0"


def snippets() -> dict[str, str]:
    return dict(_SNIPPET.findall(README))


@pytest.fixture
def project(redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the README's files in it."""
    redis_server.flush()
    for name, code in zip(
        ("agent", _CELERY, _FLASK), (snippets()[n] for n in ("agent", "celery", "flask")), strict=True
    ):
        code = code.replace(f'broker="{_ADDRESS}"', f'broker="{broker_url(redis_server.url)}"')
        (tmp_path / f"{name}.py").write_text(code.replace(_ADDRESS, redis_server.url))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in ("agent", _CELERY, _FLASK):
        sys.modules.pop(name, None)


def test_the_agent_file_is_short() -> None:
    assert len(snippets()["agent"].splitlines()) <= 25


def test_the_code_of_the_readme_answers_a_message(project: Path, redis_server: RedisServer) -> None:
    """Agent file, existing Celery app, existing Flask app: one message through all three."""
    options = ["worker", "--pool", "threads", "--concurrency", "10"]
    worker = Process(
        [sys.executable, "-m", "celery", "-A", _CELERY, *options],
        env={"PYTHONPATH": str(project)},
        cwd=project,
        output=project / "worker.log",
    )
    try:
        client = connect(redis_server.url)
        directory = Directory(client, Keys())
        worker.wait_for(directory.live_workers, "the worker announces itself")
        site: Flask = importlib.import_module(_FLASK).app
        body = {"id": "chat-1", "messages": [{"id": "u1", "role": "user", "parts": [{"type": "text", "text": "Hi"}]}]}
        secret = re.findall(r'secret_key="(.+?)"', README)[0]
        answer = site.test_client().post(
            "/chat/api/chat", json=body, headers={"Authorization": f"Bearer {secret}", "Origin": "http://localhost"}
        )
        chunks = [orjson.loads(line[6:]) for line in answer.data.split(b"\n") if line.startswith(b"data: {")]
        assert [chunk["type"] for chunk in (chunks[0], chunks[-1])] == ["start", "finish"]
        assert "".join(chunk.get("delta", "") for chunk in chunks)
        wait_until(lambda: "anonymous has 2 messages" in worker.log(), "the hook of the README runs")
        client.close()
    finally:
        worker.terminate()
        worker.close()


def test_every_python_block_of_the_readme_is_run_by_a_test() -> None:
    assert README.count("```python") == len(snippets()) == 3
