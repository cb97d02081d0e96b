"""Tools made of whatever can be called: methods, partials, objects; and what is refused when the worker starts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from chatagent import ai, chat, task
from chatagent.errors import ConfigError
from chatagent.llm import Tool, to_tool, to_tools, tool
from chatagent.llm.call import ToolCall
from chatagent.runtime.kind import by_id


def outputs(source: Tool, **given: Any) -> list[Any]:
    """All outputs of one call."""

    async def run() -> list[Any]:
        return [output async for output, _ in source.outputs(source.validate(given)[0])]

    return asyncio.run(run())


class Shop:
    def __init__(self, name: str) -> None:
        self.name = name

    @tool
    async def find(self, word: str) -> str:
        """Find something."""
        return f"{self.name}: {word}"

    def count(self, word: str) -> int:
        """Count it."""
        return len(word)


def test_a_method_is_a_tool_of_its_object() -> None:
    blue, red = Shop("blue"), Shop("red")
    assert "self" not in blue.find.input_schema["properties"]
    assert outputs(blue.find, word="shoe") == ["blue: shoe"]
    assert outputs(red.find, word="shoe") == ["red: shoe"]
    assert asyncio.run(red.find("hat")) == "red: hat"
    assert outputs(to_tool(blue.count), word="four") == [4]


def test_a_method_without_its_object_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"tool find is a method: give the one of an object"):
        to_tools([Shop.find])


def search(database: dict[str, str], word: Annotated[str, "What to look for."], limit: int = 3) -> list[str]:
    """Search."""
    return [value for key, value in database.items() if word in key][:limit]


def test_what_a_partial_gives_is_not_asked_of_the_model() -> None:
    made = to_tool(partial(search, {"a": "1", "ab": "2"}, limit=1))
    assert (made.name, made.description) == ("search", "Search.")
    assert made.input_schema["properties"] == {"word": {"description": "What to look for.", "type": "string"}}
    assert outputs(made, word="a") == [["1"]]


class Greeter:
    def __call__(self, name: str) -> str:
        """Greet."""
        return f"Hello, {name}"


def test_objects_and_lambdas_need_a_name() -> None:
    for nameless in (Greeter(), lambda name: name):
        with pytest.raises(ConfigError, match=r"no name that a model could call"):
            tool(nameless)
    greet = tool(name="greet")(Greeter())
    assert (greet.description, outputs(greet, name="Ada")) == ("Greet.", ["Hello, Ada"])


def test_a_mapping_names_its_tools() -> None:
    sources: dict[str, Any] = {"look": search, "shop": Shop("blue").find, "short": lambda word: word[:1]}
    made = to_tools(sources)
    assert {name: each.name for name, each in made.items()} == {name: name for name in ("look", "shop", "short")}
    assert outputs(made["shop"], word="x") == ["blue: x"]
    assert list(to_tools(made["look"])) == ["look"]


@dataclass
class Documentation:
    documentation: str


def test_parameters_are_described_where_they_stand() -> None:
    @tool
    def look(
        plain: Annotated[str, "Said here."],
        limits: Annotated[int, "Said first.", Field(ge=1)],
        documented: Annotated[str, Documentation("Said by Doc.")],
        by_field: str = Field("x", description="Said by the field."),
        by_docstring: str = Field("x", max_length=3),
    ) -> None:
        """Look.

        Args:
            plain: Not this.
            by_field: Nor this.
            by_docstring: Said below.
        """

    described = {name: each["description"] for name, each in look.input_schema["properties"].items()}
    assert described == {
        "plain": "Said here.",
        "limits": "Said first.",
        "documented": "Said by Doc.",
        "by_field": "Said by the field.",
        "by_docstring": "Said below.",
    }
    assert look.input_schema["properties"]["limits"]["minimum"] == 1
    assert look.input_schema["properties"]["by_docstring"] == {
        "default": "x",
        "description": "Said below.",
        "maxLength": 3,
        "type": "string",
    }


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"name": "two words"}, "letters, digits"),
        ({"name": ""}, "letters, digits"),
        ({"name": "x", "needs_approval": "yes"}, "needs_approval must be"),
        ({"name": "x", "to_model_output": asyncio.sleep}, "to_model_output must be a plain function"),
        ({"name": "x", "input": str}, "a pydantic model or a JSON schema"),
    ],
)
def test_a_tool_that_could_not_run_is_not_made(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        Tool(**options)


def test_what_is_no_tool_is_refused_by_name() -> None:
    nothings: list[Any] = [3, "search", Shop("x").find]
    for nothing in nothings:
        with pytest.raises(ConfigError, match=r"is a tool already|made of a function"):
            tool(nothing)


def test_pydantics_own_names_cannot_be_parameters() -> None:
    def configure(model_config: str) -> None: ...

    with pytest.raises(ConfigError, match="rename the parameter"):
        tool(configure)


def test_a_tool_without_input_has_a_schema_that_providers_take() -> None:
    assert Tool(name="ping").definition["function"]["parameters"] == {"type": "object", "properties": {}}


def test_agents_with_tools_that_cannot_run_are_not_served() -> None:
    @chat.agent("shopper", tools=[search, tool(name="search")(lambda: None)])
    async def shopper(turn: chat.Turn[Any]) -> str:
        return ""

    with pytest.raises(ConfigError, match="agent 'shopper': two tools are named search"):
        by_id([shopper])


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ("text", "text"),
        ({"rows": 2}, '{"rows":2}'),
        ([{"type": "text", "text": "a"}], [{"type": "text", "text": "a"}]),
        ({"type": "text", "value": "a"}, "a"),
        ({"type": "json", "value": {"a": 1}}, '{"a":1}'),
        (
            {"type": "content", "value": [{"type": "media", "data": "AA", "mediaType": "image/png"}]},
            [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}],
        ),
    ],
)
def test_what_the_model_reads_is_chosen_by_the_tool(chosen: Any, told: Any) -> None:
    made = Tool(name="look", to_model_output=lambda output: chosen)
    assert ToolCall("c1", "look", {}, made, state="done", output=1).answer == told


def test_a_choice_that_fails_hides_the_output() -> None:
    made = Tool(name="look", to_model_output=lambda output: output["public"])
    assert made.told({"secret": "x"}) == "The output cannot be shown. KeyError: 'public'"


@task("index", schema=BaseModel)
async def index(asked: BaseModel) -> None:
    """Index."""


@chat.agent("clerk")
async def clerk(turn: chat.Turn[Any]) -> str:
    return ""


def test_what_becomes_a_tool_another_way_is_told_how() -> None:
    anything: dict[str, Any] = {"task": index, "agent": clerk, "function": search}
    for given in (anything["task"], anything["agent"]):
        with pytest.raises(ConfigError, match=r"ai\.tool\(…\) makes a tool of a task, ai\.agent_tool\(…\) of an agent"):
            to_tools([given])
    for make, wrong in ((ai.tool, "agent"), (ai.tool, "function"), (ai.agent_tool, "task"), (ai.tool_execute, "agent")):
        with pytest.raises(ConfigError, match=r"takes a|runs tasks"):
            make(anything[wrong])


def test_half_a_character_in_an_output_is_kept() -> None:
    @tool
    def cut() -> dict[str, str]:
        """Cut."""
        return {"text": "x\ud83d"}

    assert outputs(cut) == [{"text": "x\ud83d"}]
