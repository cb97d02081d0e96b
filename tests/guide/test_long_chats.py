"""`docs/guide/long-chats.md`."""

from __future__ import annotations

import re
from typing import Any

import pytest

from chatagent.llm import Usage
from chatagent.llm.compaction import Compaction, CompactMessages, ShouldCompact
from chatagent.testing import TestChat, calls
from tests.guide.conftest import Talking
from tests.guide.page import Page, Talk
from tests.provider import FakeProvider

PAGE = Page("long-chats")


def told(openai: FakeProvider, at: int = -1) -> list[str]:
    """What a model call was told."""
    return [str(message["content"]) for message in openai.requests[at].body["messages"]]


def said(text: str, tokens: int) -> list[dict[str, Any]]:
    """An answer that took so many tokens."""
    usage = {"prompt_tokens": tokens - 5, "completion_tokens": 5, "total_tokens": tokens}
    return [{"content": text}, {"finish": "stop"}, {"usage": usage}]


def test_every_block_is_run() -> None:
    PAGE.assert_every_block_is_run(__file__)


def test_compaction(talk: Talking, openai: FakeProvider, capsys: pytest.CaptureFixture[str]) -> None:
    async def test(chat: Talk) -> None:
        openai.script(said("short", 80_000), said("long", 80_001), said("They talked.", 10), said("on", 20))
        await chat.ask("one")
        await chat.ask("two")
        assert {"type": "data-notice", "data": "Summed up.", "transient": True} in chat.chunks
        await chat.engine.suspend(chat.session.id)
        await chat.ask("three")
        assert chat.texts == ["one", "short", "two", "long", "three", "on"]

    talk(test, PAGE.run("compaction")["patient"])
    assert [request.body["model"] for request in openai.requests] == ["gpt-4o", "gpt-4o", "gpt-4o-mini", "gpt-4o"]
    assert told(openai) == ["Summary of the conversation so far:\n\nThey talked.", "three"]
    assert capsys.readouterr().out == "4 messages became 1\n"


def test_keeping_the_last_messages(talk: Talking, openai: FakeProvider) -> None:
    async def test(chat: Talk) -> None:
        for text in ("one", "two", "three", "four"):
            await chat.ask(text)
        assert len(chat.history) == 8

    talk(test, PAGE.run("keep")["keeping"])
    summary = "Summary of the conversation so far:\n\n6 messages were exchanged."
    assert told(openai) == [summary, "three", "You said: three", "four"]


def test_a_summary_that_fails(talk: Talking, openai: FakeProvider) -> None:
    async def test(chat: Talk) -> None:
        refused: list[dict[str, Any]] = [{"http": 401, "body": {"error": {"message": "bad key"}}}]
        openai.script(said("long", 90_000), refused)
        assert await chat.ask("one") == "failed"
        assert chat.texts == ["one", "long"]
        assert await chat.ask("two") == "completed"
        assert told(openai) == ["one", "long", "two"]

    talk(test, PAGE.run("compaction")["patient"])


def test_the_tables_of_compaction_are_true() -> None:
    table = PAGE.text.split("| of `Compaction` |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(Compaction.__dataclass_fields__)
    (events,) = re.findall(r"^Their events have .+$", PAGE.text, re.MULTILINE)
    names = set(" ".join(re.findall(r"`([^`]+)`", events)).split()) - {"ShouldCompact", "CompactMessages", "None"}
    there = {*ShouldCompact.__dataclass_fields__, *CompactMessages.__dataclass_fields__}
    assert names == there | {"total_tokens", "input_tokens", "output_tokens"}


def test_prompt_caching(talk: Talking, openai: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_BASE", openai.url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "none")
    space = PAGE.run("caching")

    async def test(chat: Talk) -> None:
        # Refused after it was read: what counts is the request.
        openai.script([{"http": 400, "body": {"error": {"message": "enough"}}}])
        assert await chat.ask() == "failed"

    talk(test, space["cached"])
    body = openai.requests[0].body
    assert body["system"] == [{"type": "text", "text": space["HANDBOOK"], "cache_control": space["KEEP"]}]
    assert [each["cache_control"] for each in body["tools"]] == [space["KEEP"]]


def test_usage(talk: Talking, openai: FakeProvider, capsys: pytest.CaptureFixture[str]) -> None:
    space = PAGE.run("usage")

    async def test(chat: Talk) -> None:
        openai.script(said("a", 105), said("b", 205))
        await chat.ask()
        await chat.ask()
        space["BUDGET_USD"] = 0.0001
        await chat.ask()
        assert chat.texts[-1] == "This conversation has used up its budget."

    talk(test, space["metered"])
    first, second, third = (line.split() for line in capsys.readouterr().out.splitlines())
    assert third == ["None", "None", "310"]
    assert (first[0], first[2], second[0], second[2]) == ("105", "105", "205", "310")
    assert float(first[1]) == pytest.approx(100 * 2.5e-6 + 5 * 10e-6)


def test_an_answer_ends_when_it_has_used_enough() -> None:
    with TestChat(PAGE.run("budget")["frugal"]) as chat:
        chat.model.script(*(calls("dig", where="here").uses(19_000, 1_000) for _ in range(5)))
        answer = chat.send("dig")
        assert (answer.usage["totalTokens"], len(answer.tool_calls), answer.outcome) == (60_000, 3, "completed")


def test_the_table_of_usage_is_whole() -> None:
    table = PAGE.text.split("| key | |")[1].split("\n\n")[0]
    whole = Usage(1, 2, 3, 4, 5, 6, 0.5).to_dict()
    details = {*whole["inputTokenDetails"], *whole["outputTokenDetails"]}
    assert set(re.findall(r"`(\w+)`", table)) == {*whole, *details}
