"""The demo model: it answers, streams, calls fitting tools and says the same thing twice."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatagent.llm import Tool, load_litellm, tool
from chatagent.llm.demo import fill, plan
from tests.llm.model import Chunk, Model, kinds, of_kind, read


@tool
async def get_weather(city: str, days: int = 1) -> dict[str, Any]:
    """The weather in a city."""
    return {"city": city, "sky": "clear"}


@tool
async def current_time() -> str:
    """The time of day."""
    return "12:34"


@tool
async def search_docs(query: str) -> list[str]:
    """Search the documentation."""
    return ["guide", "reference"]


TOOLS: list[Tool] = [get_weather, current_time, search_docs]


def ask(model: Model, question: str, name: str = "assistant", **options: Any) -> list[Chunk]:
    messages = [{"role": "user", "content": question}]
    return model.run(read(model.stream(model=f"demo/{name}", messages=messages, demo_pace_s=0, **options)))


def text_of(chunks: list[Chunk]) -> str:
    return "".join(chunk["delta"] for chunk in of_kind(chunks, "text-delta"))


def test_it_streams_an_answer_word_by_word_without_a_provider(model: Model) -> None:
    chunks = ask(model, "What is chatagent?")
    assert "durable AI chat agents" in text_of(chunks)
    assert len(of_kind(chunks, "text-delta")) > 20
    assert chunks[-1] == {"type": "finish", "finishReason": "stop"}
    assert model.provider.requests == []


def test_it_says_the_same_thing_twice(model: Model) -> None:
    assert text_of(ask(model, "hello")) == text_of(ask(model, "hello"))


def test_it_calls_a_tool_that_fits_and_answers_from_the_result(model: Model) -> None:
    chunks = ask(model, "What is the weather in New York?", tools=TOOLS)
    assert of_kind(chunks, "tool-input-available")[0]["input"] == {"city": "New York", "days": 1}
    assert "**city**: New York" in text_of(chunks)
    assert kinds(chunks).count("start-step") == 2


def test_it_calls_two_tools_side_by_side(model: Model) -> None:
    chunks = ask(model, "What time is it, and how is the weather in Rome?", tools=TOOLS)
    assert sorted(each["toolName"] for each in of_kind(chunks, "tool-input-available")) == [
        "current_time",
        "get_weather",
    ]
    assert "12:34" in text_of(chunks)


def test_it_calls_no_tool_that_does_not_fit(model: Model) -> None:
    assert of_kind(ask(model, "How do I write an agent?", tools=TOOLS), "tool-input-available") == []


def test_the_thinker_thinks_first(model: Model) -> None:
    chunks = ask(model, "hello", "thinker")
    assert kinds(chunks).index("reasoning-start") < kinds(chunks).index("text-start")


def test_the_echo_echoes(model: Model) -> None:
    assert text_of(ask(model, "one two  three", "echo")) == "one two  three"


def test_the_pace_can_be_in_the_name(model: Model) -> None:
    messages = [{"role": "user", "content": "one two"}]
    chunks = model.run(read(model.stream(model="demo/echo@0.001", messages=messages)))
    assert text_of(chunks) == "one two"


def test_it_reports_usage(model: Model) -> None:
    result = model.stream(model="demo/echo@0", messages=[{"role": "user", "content": "one two"}])

    async def usage() -> dict[str, Any]:
        return (await result.usage).to_dict()

    assert model.run(usage()) == {"inputTokens": 2, "outputTokens": 2, "totalTokens": 4}


def test_other_custom_providers_stay() -> None:
    providers = [each["provider"] for each in load_litellm().custom_provider_map]
    assert providers.count("demo") == 1


@pytest.mark.parametrize(
    ("schema", "question", "expected"),
    [
        ({"type": "string", "enum": ["red", "blue"]}, "paint it Blue", "blue"),
        ({"type": "string", "enum": ["red", "blue"]}, "paint it", "red"),
        ({"type": "integer"}, "give me 3 of them", 3),
        ({"type": "number"}, "half", 1.0),
        ({"type": "boolean"}, "x", True),
        ({"type": "array"}, "x", []),
        ({"type": "string"}, "Tell me about 'old maps' please", "old maps"),
        ({"type": "string"}, "who is Ada Lovelace", "Ada Lovelace"),
        ({"type": "string"}, "something", "something"),
    ],
)
def test_required_arguments_come_from_the_question(schema: dict[str, Any], question: str, expected: Any) -> None:
    assert fill({"properties": {"x": schema}, "required": ["x"]}, question) == {"x": expected}


@given(st.text(), st.sampled_from(["assistant", "thinker", "echo", "unknown"]))
def test_it_has_an_answer_to_everything(question: str, name: str) -> None:
    planned = plan(name, [{"role": "user", "content": question}], [each.definition for each in TOOLS])
    assert planned.text or planned.calls


def test_no_two_calls_of_a_chat_have_the_same_id(model: Model) -> None:
    asked = "What time is it, and how is the weather in Rome?"
    first, second = (of_kind(ask(model, asked, tools=TOOLS), "tool-input-available") for _ in range(2))
    assert len({each["toolCallId"] for each in [*first, *second]}) == 4
