"""The code of the guide, run as it stands: only the address and the key are others."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from chatagent.client import Chat
from tests.client.conftest import Plan
from tests.client.test_chat import ASKING, PAYING
from tests.flask.gateway_app import SECRET
from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker, echo, say
from tests.flask.talk import until
from tests.stack import REPOSITORY

GUIDE = (REPOSITORY / "docs" / "guide" / "client.md").read_text("utf-8")
SNIPPETS = dict(re.findall(r"<!-- test: (\w+) -->\n```python\n(.*?)```", GUIDE, re.DOTALL))


def run(name: str, gateway: GatewayProcess, **names: Any) -> dict[str, Any]:
    """Run a block of the guide and give its names."""
    code = SNIPPETS[name].replace("http://127.0.0.1:8000", gateway.url).replace('"support"', '"echo"')
    space = {"SECRET_KEY": SECRET, **names}
    exec(compile(code, f"client.md: {name}", "exec"), space)
    return space


def test_every_python_block_of_the_guide_is_run_by_a_test() -> None:
    assert set(SNIPPETS) == {"ask", "async", "verbs", "busy", "approvals"}
    assert GUIDE.count("```python") == len(SNIPPETS)


def test_asking(gateway: GatewayProcess, worker: ScriptedWorker, capsys: pytest.CaptureFixture[str]) -> None:
    worker.serve(echo)
    run("ask", gateway)
    assert capsys.readouterr().out.startswith("You said: What is the capital of France?completed stop []\n")


def test_asking_with_asyncio(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    ask = run("async", gateway, fresh_token=gateway.token)["ask"]
    assert asyncio.run(ask("hi")) == "You said: hi"


def test_stop_edit_and_once_more(gateway: GatewayProcess, plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    def stopped(turn: Any) -> None:
        turn.append({"type": "start", "messageId": "a1"})
        while not turn.append({"type": "message-metadata", "messageMetadata": {"still": "writing"}}):
            pass
        turn.commit({"type": "abort"}, outcome="stopped")

    plan += [stopped, lambda turn: turn.commit(*say("short")), lambda turn: turn.commit(*say("shorter"))]
    with Chat(gateway.url, "echo", secret_key=SECRET) as chat:
        run("verbs", gateway, chat=chat)
    assert capsys.readouterr().out == "stopped\nshort\nshorter\n"


def test_steering_and_what_waits(gateway: GatewayProcess, plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    def busy(turn: Any) -> None:
        turn.append({"type": "start", "messageId": "a1"})
        outbox, client = turn.worker.keys.outbox(turn.session_id), turn.worker.client
        until(lambda: client.xlen(outbox) == 4, "the start, and that two messages were cancelled")
        turn.commit(*say("a report"))

    plan.append(busy)
    with Chat(gateway.url, "echo", secret_key=SECRET) as chat:
        run("busy", gateway, chat=chat)
        assert chat.queue() == []
    assert capsys.readouterr().out == "a report\n"


@pytest.mark.parametrize("approval", [True, False])
def test_approvals_and_own_tools(
    gateway: GatewayProcess, plan: Plan, capsys: pytest.CaptureFixture[str], approval: bool
) -> None:
    asked = [chunk for chunk in ASKING if approval or chunk["type"] != "tool-approval-request"]
    plan += [lambda turn: turn.commit(*asked), lambda turn: turn.commit(*(PAYING if approval else say("x")))]
    with Chat(gateway.url, "echo", secret_key=SECRET) as chat:
        run("approvals", gateway, chat=chat)
    assert capsys.readouterr().out.startswith("May I? ")
