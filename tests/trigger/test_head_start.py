"""The first step of a chat is made by the app's own server: `chat.headStart` of the published package."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.e2e.server import Server, canonical, text_of
from tests.stack import SECRET
from tests.trigger.conftest import RELEASES, Run

pytestmark = pytest.mark.e2e
#: A release before 4.6 ends its process when it gets no access to S2, which is where it would write the first step.
new_release = pytest.mark.parametrize("run", RELEASES[:1], indirect=True)
old_release = pytest.mark.parametrize("run", RELEASES[1:], indirect=True)


def _told(messages: list[dict[str, Any]]) -> str:
    """Messages without the ids of reasoning, which a handover does not bring."""
    return canonical(
        [
            {
                **message,
                "parts": [
                    {name: value for name, value in part.items() if name != "id" or part["type"] != "reasoning"}
                    for part in message["parts"]
                ],
            }
            for message in messages
        ]
    )


@new_release
def test_an_answer_that_ends_with_its_first_step_is_kept(run: Run, server: Server) -> None:
    chat_id, seen = run("headStart")
    stored = server.wait_idle(chat_id.replace("/", "%2F"))
    assert _told(seen["messages"]) == _told(stored)
    assert [text_of(message) for message in stored] == ["one", "from here", "two", "two"]
    # The page itself asked this gateway for nothing in the first turn.
    assert (seen["errors"], seen["before"], seen["cursor"]) == ([], 0, True)


@new_release
def test_a_worker_runs_the_calls_of_a_first_step_and_goes_on(run: Run, server: Server) -> None:
    chat_id, seen = run("headStartCalls", "helper")
    stored = server.wait_idle(chat_id.replace("/", "%2F"))
    assert _told(seen["messages"]) == _told(stored)
    assert [part["type"] for part in stored[1]["parts"]] == [
        *("step-start", "reasoning", "text", "tool-wait_for"),
        *("step-start", "text"),
    ]
    assert stored[1]["parts"][3]["output"] == "it is there"
    assert (seen["errors"], len(stored)) == ([], 4)


@new_release
def test_a_page_that_comes_later_is_told_the_first_step(run: Run, server: Server) -> None:
    chat_id, seen = run("headStartDetached", "helper")
    assert canonical(seen["messages"]) == canonical(server.wait_idle(chat_id.replace("/", "%2F")))
    assert seen["errors"] == []


@new_release
def test_a_head_start_that_failed_leaves_the_chat_as_it_was(run: Run, server: Server) -> None:
    chat_id, seen = run("headStartSkipped")
    assert seen["texts"] == ["two", "two"]
    assert [text_of(message) for message in server.wait_idle(chat_id.replace("/", "%2F"))] == ["two", "two"]


@old_release
def test_an_old_release_is_refused_a_head_start(run: Run) -> None:
    _, seen = run("headStartRefused")
    assert (len(seen["errors"]), seen["texts"]) == (1, ["one"])


def test_only_a_server_hands_an_answer_over(server: Server) -> None:
    started = server.start("parrot")
    record = {"kind": "handover", "partialAssistantMessage": [], "isFinal": True}
    url = f"{server.url}/realtime/v1/sessions/{started.chat_id}/in/append"
    answers = [
        httpx.post(url, json=record, headers={"Authorization": f"Bearer {key}"}, trust_env=False)
        for key in (started.token, SECRET)
    ]
    assert [answer.status_code for answer in answers] == [403, 409]
