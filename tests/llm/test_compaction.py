"""Compaction: when it happens, what stays, and that no call is torn from its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatagent.errors import ConfigError
from chatagent.llm import (
    Compaction,
    CompactMessages,
    ModelError,
    ShouldCompact,
    Summarize,
    compact,
    compact_if_needed,
    compaction_step,
    is_compaction_safe,
    keep_last,
    more_tokens_than,
    summarize_with,
    summary_message,
    tool,
)
from tests.llm.model import DONE, QUESTION, Model, call, calling

Message = dict[str, Any]
BIG = {"inputTokens": 90, "outputTokens": 10, "totalTokens": 100}


def said(role: str, text: str) -> Message:
    return {"role": role, "content": text}


def called(*ids: str) -> list[Message]:
    calls = [{"id": each, "type": "function", "function": {"name": "f", "arguments": "{}"}} for each in ids]
    answers = [{"role": "tool", "tool_call_id": each, "content": "1"} for each in ids]
    return [{"role": "assistant", "content": None, "tool_calls": calls}, *answers]


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    """Whole conversations: each call answered right after its message."""
    messages: list[Message] = []
    for block in draw(st.lists(st.sampled_from(["user", "assistant", "calls"]), max_size=8)):
        if block == "calls":
            count = draw(st.integers(1, 3))
            messages += called(*(f"c{len(messages)}_{at}" for at in range(count)))
        else:
            messages.append(said(block, "x"))
    return messages


def policy(**more: Any) -> Compaction[Any]:
    options = {"should_compact": more_tokens_than(50), "summarize": lambda event: f"{len(event.messages)} messages"}
    return Compaction(**{**options, **more})


def event(messages: Sequence[Message], **more: Any) -> ShouldCompact[Any]:
    return ShouldCompact(messages=messages, usage=BIG, **more)


@given(conversations(), st.integers(0, 10))
def test_the_last_messages_are_a_suffix_that_tears_no_call_from_its_answer(messages: list[Message], count: int) -> None:
    kept = keep_last(messages, count)
    assert messages[len(messages) - len(kept) :] == kept
    assert len(kept) >= min(count, len(messages))
    assert is_compaction_safe(kept)


@given(conversations(), st.integers(0, 10))
def test_no_message_more_is_kept_than_calls_demand(messages: list[Message], count: int) -> None:
    kept = keep_last(messages, count)
    extra = kept[: len(kept) - min(count, len(messages))]
    assert not extra or (extra[0]["role"] == "assistant" and all(each["role"] == "tool" for each in extra[1:]))


@given(conversations(), st.data())
def test_a_conversation_without_one_of_its_answers_is_not_safe(messages: list[Message], data: st.DataObject) -> None:
    answers = [at for at, message in enumerate(messages) if message["role"] == "tool"]
    if answers:
        at = data.draw(st.sampled_from(answers))
        assert not is_compaction_safe([*messages[:at], *messages[at + 1 :]])
    assert is_compaction_safe(messages)


def test_an_answer_without_its_call_is_not_safe() -> None:
    assert not is_compaction_safe(called("a")[1:])


def test_nothing_happens_below_the_limit() -> None:
    assert asyncio.run(compact(policy(should_compact=more_tokens_than(100)), event([said("user", "a")]))) is None
    quiet = ShouldCompact[Any](messages=[said("user", "a")])
    assert asyncio.run(compact(policy(), quiet)) is None


def test_a_summary_takes_the_place_of_the_conversation_and_the_open_question_stays() -> None:
    messages = [said("user", "a"), *called("c1"), said("assistant", "b"), said("user", "and now?")]
    result = asyncio.run(compact(policy(), event(messages)))
    assert result is not None
    assert (result.summary, result.message_count) == ("5 messages", 5)
    assert result.messages == [summary_message("5 messages"), said("user", "and now?")]
    assert result.ui_messages is None


def test_between_two_steps_the_question_that_is_being_answered_stays_and_old_summaries_go() -> None:
    question = said("user", "what now?")
    messages = [summary_message("old"), question, *called("c1"), *called("c2")]
    result = asyncio.run(compact(policy(), event(messages, source="inner")))
    assert result is not None
    assert result.messages == [summary_message("6 messages"), question]


def test_nothing_is_summed_up_while_a_call_waits() -> None:
    def never(_: Any) -> bool:
        raise AssertionError("asked")

    waiting = [said("user", "a"), called("c1")[0]]
    assert asyncio.run(compact(policy(should_compact=never), event(waiting))) is None
    assert asyncio.run(compact(policy(should_compact=never), event([]))) is None


def test_a_policy_of_coroutines_is_told_everything_and_says_what_stays() -> None:
    told: list[Any] = []
    facts: dict[str, Any] = {"chat_id": "chat", "turn": 3, "client_data": {"a": 1}, "source": "outer"}
    shown = [{"id": "m", "role": "user", "parts": []}]

    async def should(given: ShouldCompact[Any]) -> bool:
        told.append(given)
        return given.total_tokens == 100 and given.input_tokens == 90 and given.output_tokens == 10

    async def summarize(given: Summarize[Any]) -> str:
        told.append(given)
        return "short"

    async def keep(given: CompactMessages[Any]) -> list[Any]:
        told.append(given)
        return [summary_message(given.summary), *keep_last(given.messages, 1)]

    async def show(given: CompactMessages[Any]) -> Sequence[Any]:
        return given.ui_messages[:0]

    async def transform(messages: list[Message], reason: Literal["compaction-result"]) -> list[Message]:
        return [*messages, said("user", reason)]

    whole = Compaction(
        should_compact=should, summarize=summarize, compact_model_messages=keep, compact_ui_messages=show
    )
    messages = [said("user", "a"), said("assistant", "b")]
    given = event(messages, total_usage={"totalTokens": 500}, **facts)
    result = asyncio.run(compact(whole, given, ui_messages=shown, transform=transform))
    assert result is not None
    assert result.messages == [summary_message("short"), said("assistant", "b"), said("user", "compaction-result")]
    assert result.ui_messages == []
    assert {type(each) for each in told} == {ShouldCompact, Summarize, CompactMessages}
    for each in told:
        assert (each.chat_id, each.turn, each.client_data, each.source) == ("chat", 3, {"a": 1}, "outer")
        assert (each.step_number, each.messages) == (-1, messages)
        assert (each.usage, each.total_usage) == (BIG, {"totalTokens": 500})


def test_what_people_see_is_left_alone_between_steps() -> None:
    def show(_: Any) -> list[Any]:
        raise AssertionError("asked")

    inner = event([said("user", "a")], source="inner", step_number=1)
    result = asyncio.run(compact(policy(compact_ui_messages=show), inner))
    assert result is not None
    assert result.ui_messages is None


def test_a_compaction_can_be_demanded() -> None:
    quiet = ShouldCompact[Any](messages=[said("user", "a"), said("assistant", "b")])
    result = asyncio.run(compact(policy(), quiet, force=True))
    assert result is not None
    assert result.messages == [summary_message("2 messages")]


def test_a_loop_of_ones_own_compacts_if_needed() -> None:
    messages = [said("user", "a"), said("assistant", "b")]
    assert asyncio.run(compact_if_needed(policy(), messages, usage={})) == messages
    assert asyncio.run(compact_if_needed(policy(), messages, usage=BIG)) == [summary_message("2 messages")]


def test_a_failing_summary_raises() -> None:
    def fails(_: Any) -> str:
        raise RuntimeError("no summary")

    with pytest.raises(RuntimeError, match="no summary"):
        asyncio.run(compact(policy(summarize=fails), event([said("user", "a")])))


@tool
async def add(a: int) -> int:
    """Add one."""
    return a + 1


def test_compaction_between_the_steps_of_an_answer_lasts(model: Model) -> None:
    usage = {"usage": {"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100}}
    small = {"usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}}
    first, second = calling(call("add", '{"a":1}', call_id="c1")), calling(call("add", '{"a":2}', call_id="c2"))
    model.ask([*first, usage], [*second, small], DONE, tools=[add], prepare_step=compaction_step(policy()))
    assert model.told[1] == [summary_message("3 messages"), *QUESTION]
    assert [message["role"] for message in model.told[2]] == ["user", "user", "assistant", "tool"]
    assert model.told[2][:2] == model.told[1]


def test_a_model_sums_up_a_transcript_without_any_tools(model: Model) -> None:
    picture = {"role": "user", "content": [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {}}]}
    messages = [said("user", "a"), *called("c1"), picture]
    model.provider.script([{"content": "short"}, {"finish": "stop"}])
    summarize = summarize_with("openai/fake", prompt="Be short.", api_base=model.provider.url, api_key="k")

    async def summary() -> str:
        return await summarize(Summarize(messages=messages))

    assert model.run(summary()) == "short"
    body = model.provider.requests[0].body
    assert "tools" not in body
    assert body["messages"] == [
        said("system", "Be short."),
        said("user", "[user]\na\n\n[tool call] f({})\n\n[tool result]\n1\n\n[user]\nsee\n[image_url]"),
    ]


def test_a_summary_that_is_none_raises() -> None:
    event = ShouldCompact[Any](messages=[said("user", "a")], usage=BIG)
    with pytest.raises(ConfigError, match="summarize must return the summary as text, not None"):
        asyncio.run(compact(policy(summarize=lambda event: None), event))


@pytest.mark.parametrize(
    "step", [[{"http": 400, "body": {"error": {"message": "no"}}}], [{"content": "\n"}, {"finish": "stop"}]]
)
def test_a_model_that_fails_to_sum_up_raises(model: Model, step: list[dict[str, Any]]) -> None:
    model.provider.script(step)
    summarize = summarize_with("openai/fake", api_base=model.provider.url, api_key="k")

    async def summary() -> str:
        return await summarize(Summarize(messages=[said("user", "a")]))

    with pytest.raises(ModelError):
        model.run(summary())
