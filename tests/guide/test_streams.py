"""`docs/guide/streams.md`."""

from __future__ import annotations

from typing import Any

import pytest

from chatagent import stream_text, tool
from chatagent.agent import Turn
from chatagent.agent.agent import agent
from chatagent.cli.types import message_types
from tests.guide.conftest import Talking
from tests.guide.page import Page, Talk
from tests.provider import FakeProvider

PAGE = Page("streams")

REFUSED: list[dict[str, Any]] = [{"http": 401, "body": {"error": {"message": "bad key", "type": "auth", "code": None}}}]
BUSY: list[dict[str, Any]] = [
    {
        "http": 429,
        "body": {"error": {"message": "slow down", "type": "rate", "code": None}},
        "headers": {"retry-after": "0"},
    }
]


def data(talk: Talk, kind: str) -> list[Any]:
    """What was streamed in parts of this type."""
    return [chunk["data"] for chunk in talk.chunks if chunk["type"] == kind]


def types(talk: Talk) -> list[str]:
    """The types of the parts of the answer that is stored."""
    return [part["type"] for part in talk.history[-1]["parts"]]


def test_every_block_is_run() -> None:
    PAGE.assert_every_block_is_run(__file__)


def test_piping(talk: Talking) -> None:
    async def test(chat: Talk) -> None:
        await chat.ask("hello")
        assert chat.texts[1] == "Let me think.\n\nYou said: hello"
        assert [chunk["type"] for chunk in chat.chunks].count("finish") == 1

    talk(test, PAGE.run("pipe")["agent_chat"])


def test_capturing(talk: Talking, openai: FakeProvider, capsys: pytest.CaptureFixture[str]) -> None:
    async def test(chat: Talk) -> None:
        openai.script([{"content": "fine"}, {"finish": "stop"}], REFUSED)
        assert await chat.ask() == "completed"
        assert await chat.ask() == "failed"

    talk(test, PAGE.run("capture")["second_try"])
    assert capsys.readouterr().out == "complete 2\nerror 0\n"


def test_data_parts(talk: Talking, capsys: pytest.CaptureFixture[str]) -> None:
    async def test(chat: Talk) -> None:
        await chat.ask()
        assert data(chat, "data-progress") == [{"percent": percent} for percent in (0, 50, 100)]
        assert types(chat) == ["data-context", "step-start", "text", "data-metadata"]

    talk(test, PAGE.run("data")["searching"])
    assert capsys.readouterr().out == "['data-context', 'step-start', 'text', 'data-metadata']\n"


def test_typed_parts_and_their_typescript(talk: Talking) -> None:
    async def test(chat: Talk) -> None:
        await chat.ask()
        assert data(chat, "data-progress") == [{"percent": 100, "label": ""}]

    typed = PAGE.run("typed")["typed_parts"]
    talk(test, typed)
    printed = message_types([typed])
    for declaration in PAGE.text.split("```ts\n")[1].split("```")[0].split("export ")[1:]:
        assert declaration in printed


def test_research_that_reports(talk: Talking) -> None:
    async def test(chat: Talk) -> None:
        await chat.ask('call research {"query": "owls"}')
        assert data(chat, "data-research-status") == [
            {"query": "owls", "status": "in-progress"},
            {"status": "done", "resultCount": 1},
        ]
        assert "data-research-status" not in types(chat)
        assert "tool-research" in types(chat)

    space = PAGE.run("research")
    talk(test, space["researcher"], space["research"])


def test_a_subtask_that_knows_its_call(talk: Talking, openai: FakeProvider) -> None:
    call = {"index": 0, "id": "c1", "name": "my-subtask", "args": '{"query": "owls"}'}

    async def test(chat: Talk) -> None:
        openai.script([{"tool": [call]}, {"finish": "tool_calls"}], [{"content": "ok"}, {"finish": "stop"}])
        await chat.ask(metadata={"user_id": "ada"})
        assert data(chat, "data-progress") == [{"status": "working", "query": "owls", "userId": "ada"}]
        (part,) = [part for part in chat.history[1]["parts"] if "toolCallId" in part]
        assert part["output"] == {"result": "done"}
        assert [chunk["id"] for chunk in chat.chunks if chunk["type"] == "data-progress"] == [part["toolCallId"]]

    space = PAGE.run("tool-call")
    talk(test, space["my_chat"], space["my_subtask"])


def test_reading_a_run(talk: Talking) -> None:
    async def test(chat: Talk) -> None:
        await chat.ask()
        assert chat.texts[1] == "It counted [0, 1, 2]."

    space = PAGE.run("read")
    talk(test, space["follower"], space["counter"])


@pytest.mark.parametrize(("answer", "text"), [(BUSY, "We are very busy"), (REFUSED, "Something went wrong")])
def test_errors_in_words_of_ones_own(talk: Talking, openai: FakeProvider, answer: Any, text: str) -> None:
    async def test(chat: Talk) -> None:
        openai.script(answer)
        assert await chat.ask() == "failed"
        assert chat.chunks[-1]["errorText"].startswith(text)

    talk(test, PAGE.run("options")["careful"])


def test_reasoning_and_sources(talk: Talking, openai: FakeProvider) -> None:
    cited = {"type": "url_citation", "url_citation": {"url": "https://example.com", "title": "Example"}}
    delta = {"role": "assistant", "content": "See there.", "annotations": [cited]}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}

    async def test(chat: Talk) -> None:
        openai.script(
            [{"reasoning": "Hm."}, {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": "stop"}]}]
        )
        await chat.ask()
        assert sorted(types(chat)) == ["reasoning", "source-url", "step-start", "text"]

    talk(test, PAGE.run("options")["careful"])


def test_options_for_one_turn(talk: Talking) -> None:
    async def test(chat: Talk) -> None:
        for model, reasoning in (("openai/gpt-4o", 0), ("openai/o3", 1), ("openai/gpt-4o", 0)):
            await chat.ask("reason about it", metadata={"model": model})
            assert types(chat).count("reasoning") == reasoning

    talk(test, PAGE.run("per-turn")["by_model"])


def test_metadata(talk: Talking) -> None:
    async def test(chat: Talk) -> None:
        await chat.ask()
        assert chat.history[1]["metadata"] == {"model": "gpt-4o", "totalTokens": 15}

    talk(test, PAGE.run("metadata")["telling"])


def test_a_failing_provider(talk: Talking, openai: FakeProvider) -> None:
    async def test(chat: Talk) -> None:
        openai.script(BUSY, BUSY, [{"content": "Here I am."}, {"finish": "stop"}])
        assert await chat.ask() == "completed"
        assert chat.texts[1] == "Here I am."
        asked = [request.body["model"] for request in openai.requests]
        assert asked == ["gpt-4o", "gpt-4o", "gpt-4o-mini"]
        openai.reset()
        openai.script(REFUSED, [{"content": "So far"}, {"error": {"message": "overloaded"}}])
        assert await chat.ask() == "failed"
        assert [request.body["model"] for request in openai.requests] == ["gpt-4o", "gpt-4o-mini"]
        assert chat.texts[-1] == "So far"
        assert chat.chunks[-1] == {"type": "error", "errorText": "An error occurred."}

    talk(test, PAGE.run("fallbacks")["steady"])


def test_the_authors_words_are_for_errors_of_tools_and_of_his_own_code_too(talk: Talking) -> None:
    explain = PAGE.run("options")["explain"]

    @tool
    async def break_down() -> str:
        """Break down."""
        raise RuntimeError("secret")

    @agent("own-errors", tools=[break_down], stream_options={"on_error": explain})
    async def own_errors(turn: Turn[Any]) -> Any:
        if turn.number == 1:
            raise RuntimeError("secret")
        return stream_text("openai/gpt-4o", turn.messages)

    async def test(chat: Talk) -> None:
        assert await chat.ask("call break_down {}") == "completed"
        told = [chunk["errorText"] for chunk in chat.chunks if chunk["type"] == "tool-output-error"]
        assert await chat.ask() == "failed"
        assert [*told, chat.chunks[-1]["errorText"]] == ["Something went wrong. Please try again."] * 2

    talk(test, own_errors)
