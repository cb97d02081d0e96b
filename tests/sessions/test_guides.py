"""The Python of the guides to sessions and to the Trigger.dev client, run as it stands."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from chatagent import sessions
from tests.flask.gateway_app import SECRET
from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker, echo
from tests.stack import REPOSITORY

GUIDES = {name: (REPOSITORY / "docs" / "guide" / f"{name}.md").read_text("utf-8") for name in ("sessions", "trigger")}
SNIPPETS = {
    f"{guide}: {name}": code
    for guide, text in GUIDES.items()
    for name, code in re.findall(r"<!-- test: (\w+) -->\n```python\n(.*?)```", text, re.DOTALL)
}


@pytest.fixture(autouse=True)
def support(place: GatewayProcess, worker: ScriptedWorker) -> None:
    """A worker that serves the guides' agent."""
    worker.announce("support")
    worker.serve(echo)


def run(name: str, **names: Any) -> dict[str, Any]:
    """Run a block of a guide and give its names."""
    space = {"__name__": __name__, **names}
    exec(compile(SNIPPETS[name], name, "exec"), space)
    return space


def test_every_python_block_is_run_by_a_test() -> None:
    assert set(SNIPPETS) == {
        *("sessions: manage", "sessions: lists", "sessions: logs", "sessions: tokens", "sessions: view"),
        *("sessions: async", "trigger: server"),
    }
    assert sum(text.count("```python") for text in GUIDES.values()) == len(SNIPPETS)


def test_managing(capsys: pytest.CaptureFixture[str]) -> None:
    run("sessions: manage")
    assert capsys.readouterr().out == "True idle\n('vip', 'billing')\n"
    assert sessions.retrieve("ticket-42").closed_reason == "solved"


def test_lists(capsys: pytest.CaptureFixture[str]) -> None:
    sessions.start("support", chat_id="t1", user="ann", tags=["vip"])
    sessions.start("support", chat_id="t2", user="ben")
    space = run("sessions: lists")
    assert capsys.readouterr().out.startswith("t1 ")
    assert [each.chat_id for each in space["page"].sessions] == ["t1"]


def test_logs(capsys: pytest.CaptureFixture[str]) -> None:
    sessions.start("support", chat_id="ticket-42")
    run("sessions: logs")
    assert capsys.readouterr().out == "You said: Where is my parcel?"


def test_tokens(place: GatewayProcess) -> None:
    sessions.start("support", chat_id="ticket-42")
    space = run("sessions: tokens")
    for name, may_write in (("token", 200), ("watch", 403)):
        with place.http(space[name]) as http:
            assert http.get("/api/v1/sessions/ticket-42").status_code == 200
            assert (
                http.post("/realtime/v1/sessions/ticket-42/in/append", json={"kind": "stop"}).status_code == may_write
            )


def test_a_view() -> None:
    view = run("sessions: view")["app"].test_client()
    given = view.post("/chats/t1", json={"page": 1}, headers={"X-User": "ann"}).get_json()
    assert (given["chatId"], sessions.retrieve("t1").user) == ("t1", "ann")


def test_asyncio(place: GatewayProcess) -> None:
    sessions.start("support", chat_id="t1", user="ann")
    code = SNIPPETS["sessions: async"].replace("http://127.0.0.1:8000", place.url)
    space: dict[str, Any] = {"SECRET_KEY": SECRET}
    exec(compile(code, "sessions: async", "exec"), space)
    assert asyncio.run(space["open_tickets"]("ann")) == ["t1"]


def test_a_server_of_the_trigger_client(capsys: pytest.CaptureFixture[str]) -> None:
    run("trigger: server")
    assert capsys.readouterr().out == "['chatId', 'isCached', 'publicAccessToken', 'runId', 'sessionId']\n"
