"""The code of the guide, run as it stands: only the address and the key are others."""

from __future__ import annotations

import re
from typing import Any

import pytest
from openai import OpenAI

from tests.flask.gateway_app import SECRET
from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker, echo
from tests.stack import REPOSITORY

GUIDE = (REPOSITORY / "docs" / "guide" / "openai.md").read_text("utf-8")
SNIPPETS = dict(re.findall(r"<!-- test: (\w+) -->\n```python\n(.*?)```", GUIDE, re.DOTALL))


def run(name: str, gateway: GatewayProcess, **names: Any) -> None:
    """Run a block of the guide."""
    code = SNIPPETS[name].replace("http://127.0.0.1:8000", gateway.url).replace('"support"', '"echo"')
    exec(compile(code, f"openai.md: {name}", "exec"), {"SECRET_KEY": SECRET, **names})


def test_every_python_block_of_the_guide_is_run_by_a_test() -> None:
    assert set(SNIPPETS) == {"completion", "named", "responses", "background"}
    assert GUIDE.count("```python") == len(SNIPPETS)


def test_a_first_completion(
    gateway: GatewayProcess, worker: ScriptedWorker, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    worker.serve(echo)
    run("completion", gateway)
    assert capsys.readouterr().out == "You said: What is the capital of France?"


def test_a_named_chat(gateway: GatewayProcess, worker: ScriptedWorker, client: OpenAI) -> None:
    worker.serve(echo)
    run("named", gateway, client=client)
    assert client.conversations.retrieve("ticket-42").id == "ticket-42"


def test_responses(
    gateway: GatewayProcess, worker: ScriptedWorker, client: OpenAI, capsys: pytest.CaptureFixture[str]
) -> None:
    worker.serve(echo)
    run("responses", gateway, client=client)
    assert capsys.readouterr().out == "You said: What is my name?\n"


def test_the_background(
    gateway: GatewayProcess, worker: ScriptedWorker, client: OpenAI, capsys: pytest.CaptureFixture[str]
) -> None:
    worker.serve(echo)
    run("background", gateway, client=client)
    assert capsys.readouterr().out.endswith("response.completed\n")
