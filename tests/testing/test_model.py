"""The scripted model: what it says, what it notes, and how it fails."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from chatagent import chat as c
from chatagent import stream_text
from chatagent.llm.error import ModelError
from chatagent.testing import ChatAgent, Request, Step, TestChat, UnscriptedCall, calls, fails, respond, says


@c.agent("plain")
async def plain(turn: c.Turn[Any]) -> Any:
    return stream_text(turn.model, turn.messages, fallbacks=["openai/small"], max_retries=1)


def test_an_unscripted_call_fails_the_test_and_names_the_request(chat_agent: ChatAgent) -> None:
    chat = chat_agent(plain)
    with pytest.raises(UnscriptedCall, match="user: 'what now'"):
        chat.send("what now")


def test_what_no_verb_waited_for_fails_at_the_end() -> None:
    with pytest.raises(UnscriptedCall), TestChat(plain) as chat:
        chat.pause_at("commit")
        chat.send("what now", wait=False)
        chat.wait_paused()


def test_the_error_of_a_test_is_not_hidden_by_its_end() -> None:
    with pytest.raises(ZeroDivisionError), TestChat(plain) as chat:
        chat.send("what now", wait=False)
        _ = 1 / 0


def test_a_failure_is_retried_at_once_then_the_fallback_is_asked(chat_agent: ChatAgent) -> None:
    chat = chat_agent(plain)
    chat.model.script(fails(503), fails(429), "from the other")
    assert chat.send("hi").text == "from the other"
    assert [request.model for request in chat.model.requests] == ["test/model", "test/model", "openai/small"]


@pytest.mark.parametrize("error", [400, "no such model", ModelError("no"), ValueError("no")])
def test_a_failure_is_told_masked(chat_agent: ChatAgent, error: Any) -> None:
    chat = chat_agent(plain)
    chat.model.script(fails(error), fails(error))
    answer = chat.send("hi")
    assert (answer.outcome, answer.error) == ("failed", "An error occurred.")


def test_a_provider_that_breaks_off_keeps_the_partial(chat_agent: ChatAgent) -> None:
    chat = chat_agent(plain)
    chat.model.script(says("Half an ") + fails(500))
    answer = chat.send("hi")
    assert (answer.outcome, answer.text) == ("failed", "Half an ")


def test_answers_are_made_of_requests(chat_agent: ChatAgent) -> None:
    async def shout(request: Request) -> Step:
        return says(request.prompt.upper()).ends("length")

    chat = chat_agent(plain)
    chat.model.respond(lambda request: f"echo {request.prompt}")
    chat.model.script(respond(shout))
    first = chat.send("hi")
    assert (first.text, first.finish_reason) == ("HI", "length")
    assert chat.send("hi").text == "echo hi"


def test_models_may_have_scripts_of_their_own(chat_agent: ChatAgent) -> None:
    chat = chat_agent(plain)
    chat.model.script("from small", model="openai/small")
    chat.model.script(fails("no"))
    assert chat.send("hi").text == "from small"


def test_what_a_responder_asserts_fails_the_test(chat_agent: ChatAgent) -> None:
    def answer(request: Request) -> str:
        assert request.prompt == "expected"
        return "fine"

    chat = chat_agent(plain)
    chat.model.respond(answer)
    assert chat.send("expected").text == "fine"
    with pytest.raises(AssertionError, match="expected"):
        chat.send("something else")
    chat.model.respond(lambda request: 3)  # type: ignore[arg-type,return-value]
    with pytest.raises(TypeError, match="gives a step or text, not 3"):
        chat.send("a number")


@pytest.mark.parametrize("step", [None, {"text": "x"}, ["a"], lambda request: "x"])
def test_what_is_no_step_is_refused_where_it_stands(chat_agent: ChatAgent, step: Any) -> None:
    with pytest.raises(TypeError, match=r"a step is text, says"):
        chat_agent(plain).model.script(step)
    with pytest.raises(TypeError, match=r"calls\('look', order=7\)"):
        calls("look", 7)  # type: ignore[arg-type]


def test_steps_add_up() -> None:
    step = says("Look: ") + calls("a", x=1) + calls("b", {"class": 2})
    assert step.finish_reason == "tool_calls"
    assert (step + "!").uses(1, 2).usage == (says("x").uses(1, 2)).usage
    assert len(step.parts) == 3


def test_requests_are_as_they_were_when_they_were_made(chat_agent: ChatAgent) -> None:
    chat = chat_agent(plain)
    chat.model.script("one", "two")
    chat.send("hi")
    chat.send("ho")
    assert [len(request.messages) for request in chat.model.requests] == [1, 3]
    assert str(chat.model.requests[0]) == "test/model, 1 messages\n  user: 'hi'"


def test_litellm_is_not_needed(chat_agent: ChatAgent) -> None:
    before = "litellm" in sys.modules
    chat = chat_agent(plain)
    chat.model.script("one")
    chat.send("hi")
    assert ("litellm" in sys.modules) == before
