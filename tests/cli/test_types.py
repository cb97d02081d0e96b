"""What `chatagent types` prints, compiled by TypeScript against the real AI SDK."""

from __future__ import annotations

import enum
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import date, datetime
from operator import getitem
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model

from chatagent import ai, chat, task, tool
from chatagent.cli.types import message_types
from chatagent.cli.typescript import TypeScript
from chatagent.llm import Tool, client_tool
from tests.conftest import missing
from tests.node import InstallError, Node

FOLDER = Path(__file__).parent / "typescript"


class Sky(enum.Enum):
    CLEAR = "clear"
    GREY = "grey"


class Weather(BaseModel):
    """What the sky does.

    Not what it did */ before.
    """

    city: str = Field(description="Where.")
    day: date
    sky: Sky
    celsius: float | None = None
    hours: dict[str, tuple[int, float]] = {}


class Tree(BaseModel):
    name: str
    leaves: list[Tree] = []


class Circle(BaseModel):
    kind: Literal["circle"] = "circle"
    radius: float


class Square(BaseModel):
    kind: Literal["square"] = "square"
    side_length: float = Field(alias="side-length")


class Usage(BaseModel):
    model: str
    tokens: int = 0


class Client(BaseModel):
    user_id: str


class Undo(BaseModel):
    type: Literal["undo"]


@tool
async def forecast(city: str, days: int = 1) -> list[Weather]:
    """Tell the weather."""
    return []


@tool
async def count(to: int) -> AsyncIterator[int]:
    """Count."""
    yield to


@client_tool
def choose(question: str, options: list[str]) -> str:
    """Ask the user."""
    raise NotImplementedError


@chat.agent(
    "weather-man",
    tools=[forecast, count, choose],
    client_data=Client,
    actions=Undo,
    data_parts={
        "weather": Weather,
        "tree": Tree,
        "shape": Annotated[Circle | Square, Field(discriminator="kind")],
        "log-line": list[str],
    },
    message_metadata_schema=Usage,
)
async def weather_man(turn: chat.Turn[Client]) -> str:
    """Tells the weather."""
    return "sunny"


@chat.agent("plain")
async def plain(turn: chat.Turn[Any]) -> str:
    return "hi"


USE = """
import type { PlainMessage, Weather, WeatherManAction, WeatherManClientData, WeatherManMessage } from "./types";

declare const message: WeatherManMessage;
for (const part of message.parts) {
  switch (part.type) {
    case "data-weather": {
      const weather: Weather = part.data;
      const where: string = weather.city;
      const sky: "clear" | "grey" = weather.sky;
      const pair: [number, number] | undefined = weather.hours["9"];
      // @ts-expect-error: there may be none
      const celsius: number = weather.celsius;
      break;
    }
    case "data-tree": {
      const inner: string | undefined = part.data.leaves[0]?.leaves[0]?.name;
      break;
    }
    case "data-shape":
      if (part.data.kind === "square") { const side: number = part.data["side-length"]; }
      // @ts-expect-error: only circles have one
      else if (part.data.kind === "circle") { const no: string = part.data.radius; }
      break;
    case "data-log-line": { const first: string | undefined = part.data[0]; break; }
    case "tool-forecast":
      if (part.state === "input-available") { const days: number | undefined = part.input.days; }
      if (part.state === "output-available") { const city: string | undefined = part.output[0]?.city; }
      break;
    case "tool-count":
      if (part.state === "output-available") { const n: number = part.output; }
      break;
    case "tool-choose":
      if (part.state === "input-available") { const options: string[] = part.input.options; }
      break;
    // @ts-expect-error: there is no such part
    case "data-wether":
      break;
  }
}
const model: string | undefined = message.metadata?.model;
// @ts-expect-error: it is a number
const tokens: string | undefined = message.metadata?.tokens;
const client: WeatherManClientData = { user_id: "u" };
const undo: WeatherManAction = { type: "undo" };
declare const other: PlainMessage;
const role: "system" | "user" | "assistant" = other.role;
"""


@pytest.fixture(scope="module")
def compiler(node: Node) -> Node:
    """A Node with TypeScript and the AI SDK."""
    try:
        node.install(FOLDER)
    except InstallError as error:
        missing(f"TypeScript ({error})")
    return node


def compile_files(node: Node, folder: Path, files: dict[str, str], ai: str = "ai7") -> str:
    """What the compiler says, as strict as it can be; empty when all is well."""
    for name, text in files.items():
        (folder / name).write_text(text)
    modules = FOLDER / "node_modules"
    options = {
        "strict": True,
        "noEmit": True,
        "skipLibCheck": True,
        "noUncheckedIndexedAccess": True,
        "target": "es2022",
        "module": "esnext",
        "moduleResolution": "bundler",
        "lib": ["es2022", "dom"],
        "types": [],
        "paths": {"ai": [str(modules / ai)]},
    }
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": list(files)}))
    command = [node.binary, str(modules / "typescript/bin/tsc"), "-p", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False).stdout


def test_tools_without_a_function_of_their_own_tell_their_output_too() -> None:
    @task("count-stock", schema=Usage)
    async def count_stock(asked: Usage) -> list[Tree]:
        return []

    def look_up(asked: Usage) -> Weather:
        raise NotImplementedError

    @chat.agent("shop", tools=[ai.tool(count_stock), Tool(name="look", input=Usage, execute=look_up)])
    async def shop(turn: chat.Turn[Any]) -> str:
        return ""

    @chat.agent("boss", tools=[ai.agent_tool(shop)])
    async def boss(turn: chat.Turn[Any]) -> str:
        return ""

    printed = message_types([shop, boss])
    assert "output: Tree[];" in printed
    assert "output: Weather;" in printed
    assert "output: { [key: string]: unknown };" in printed


@pytest.mark.parametrize("ai", ["ai5", "ai6", "ai7"])
def test_the_printed_types_are_what_a_frontend_may_rely_on(compiler: Node, tmp_path: Path, ai: str) -> None:
    printed = message_types([weather_man, plain])
    assert compile_files(compiler, tmp_path, {"types.ts": printed, "use.ts": USE}, ai) == ""


def test_the_types_say_what_the_models_say() -> None:
    printed = message_types([weather_man])
    assert "  /** Where. */\n  city: string;" in printed
    assert "  /** Format: date */\n  day: string;" in printed
    assert 'export type Sky = "clear" | "grey";' in printed
    assert " * Not what it did *\\/ before." in printed
    assert "/** @default 1 */ days?: number;" in " ".join(printed.split())
    assert "leaves: Tree[];" in printed
    assert '"side-length": number;' in printed
    message = "export type WeatherManMessage = UIMessage<WeatherManMetadata, WeatherManDataParts, WeatherManTools>;"
    assert f"/** Tells the weather. */\n{message}" in printed


def test_an_agent_without_schemas_has_a_plain_message_type() -> None:
    assert message_types([plain]).splitlines()[1:] == [
        'import type { UIDataTypes, UIMessage, UITools } from "ai";',
        "",
        "export type PlainMessage = UIMessage<unknown, UIDataTypes, UITools>;",
    ]


def test_tools_that_depend_on_the_turn_are_not_told() -> None:
    @chat.agent("by-turn", tools=lambda given: [forecast])
    async def by_turn(turn: chat.Turn[Any]) -> str:
        return ""

    assert "UIMessage<unknown, UIDataTypes, UITools>" in message_types([by_turn])


def test_two_models_of_one_name_are_told_apart_and_one_model_is_declared_once() -> None:
    def city(fields: dict[str, Any]) -> type[BaseModel]:
        return create_model("City", **fields)

    types = TypeScript()
    one, other = city({"name": (str, ...)}), city({"zip": (int, ...)})
    named = [types.type_of(model.model_json_schema()) for model in (one, other, one)]
    assert named == ["City", "City2", "City"]
    assert types.declarations.count("export type") == 2


@pytest.mark.parametrize(
    ("type_", "written"),
    [
        (str, "string"),
        (int | None, "number | null"),
        (list[int | str], "(number | string)[]"),
        (list[list[bool]], "boolean[][]"),
        (dict[str, float], "{ [key: string]: number }"),
        (dict[Literal["a", "b"], int], '{ [key in "a" | "b"]?: number }'),
        (tuple[int, str], "[number, string]"),
        (tuple[int, ...], "number[]"),
        (Literal["a", 1, None, True], '"a" | 1 | null | true'),
        (datetime, "string"),
        (Any, "unknown"),
        (list[Any], "unknown[]"),
        (dict[str, Any], "{ [key: string]: unknown }"),
        (set[int], "number[]"),
        (str | Any, "unknown"),
    ],
)
def test_types_are_written_as_a_frontend_writes_them(type_: Any, written: str) -> None:
    assert TypeScript().type_of(TypeAdapter(type_).json_schema()) == written


# -- properties -----------------------------------------------------------------------------------------------------

NAMES = st.text(min_size=1, max_size=8).filter(lambda name: not any(0xD800 <= ord(char) <= 0xDFFF for char in name))
LITERALS = st.one_of(NAMES, st.integers(-9, 9), st.booleans())
LEAVES: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([str, int, float, bool, type(None), date, datetime, bytes, Any]),
    st.lists(LITERALS, min_size=1, max_size=3, unique_by=lambda value: (type(value), value)).map(
        lambda values: Literal.__getitem__(tuple(values))
    ),
)


#: `list[int]` and the like, of types that only the run knows.
of: Callable[[Any, Any], Any] = getitem


def _model(fields: list[tuple[str, Any, bool, str]], title: str, extra: Any) -> type[BaseModel]:
    made = {
        f"field_{at}": (type_, Field(default=... if required else None, alias=alias, description=alias))
        for at, (alias, type_, required, _) in enumerate(fields)
    }
    return create_model(title, __config__=ConfigDict(extra=extra), **made)  # type: ignore[call-overload,no-any-return]


def _compound(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    field = st.tuples(NAMES, inner, st.booleans(), NAMES)
    titles = st.sampled_from(["City", "Record", "string", "9 lives", "type", "Straße", "Box[int]"])
    extras = st.sampled_from(["allow", "forbid", "ignore"])
    return st.one_of(
        inner.map(lambda type_: of(list, type_)),
        inner.map(lambda type_: of(dict, (str, type_))),
        inner.map(lambda type_: type_ | None if type_ is not Any else Any),
        st.tuples(inner, inner).map(lambda pair: of(tuple, pair)),
        st.tuples(inner, inner).map(lambda pair: pair[0] | pair[1] if Any not in pair else Any),
        st.builds(_model, st.lists(field, max_size=4, unique_by=lambda each: each[0]), titles, extras),
    )


TYPES = st.recursive(LEAVES, _compound, max_leaves=8)


def test_whatever_pydantic_can_describe_compiles(compiler: Node, tmp_path: Path) -> None:
    """All examples go into one module each, and the compiler runs once: it takes a second."""
    modules: dict[str, str] = {}

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.lists(TYPES, min_size=1, max_size=3))
    def collect(types: list[Any]) -> None:
        module = TypeScript()
        for mode in ("validation", "serialization"):
            for type_ in types:
                schema = TypeAdapter(type_).json_schema(mode=mode, by_alias=True)
                module.declare("Root", module.type_of(schema), "What\n*/ it is")
        modules[f"m{len(modules)}.ts"] = module.declarations + "\n"

    collect()
    assert compile_files(compiler, tmp_path, modules) == ""


# -- the command ----------------------------------------------------------------------------------------------------

AGENT = """
from chatagent import chat


@chat.agent("{id}", data_parts={{"n": int}})
async def {id}(turn):
    return "hi"


AGENTS = [{id}]
"""


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "chatagent.cli", "types", *arguments]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_takes_a_file_a_module_and_one_agent_of_many(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(AGENT.format(id=name))
    assert "export type OneMessage" in command(tmp_path, "one.py").stdout
    assert "export type TwoMessage" in command(tmp_path, "two:AGENTS").stdout
    both, only = command(tmp_path, ".").stdout, command(tmp_path, ".", "--agent", "two").stdout
    assert "OneMessage" in both
    assert "TwoMessage" in both
    assert "OneMessage" not in only
    assert "n: number;" in only


def test_the_command_without_a_target_takes_the_deployment_or_the_demo(tmp_path: Path) -> None:
    assert "get_weather" in command(Path(__file__).parents[2], "--agent", "weather").stdout
    assert "roll_dice" in command(tmp_path).stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.py"], "no such file"),
        (["one.py", "--agent", "three"], "no agent 'three'; there are: one"),
        (["one:NONE"], "give module:attribute"),
        (["one:chat"], "neither an agent nor a list"),
    ],
)
def test_what_is_not_there_is_one_line(tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "one.py").write_text(AGENT.format(id="one"))
    told = command(tmp_path, *arguments)
    assert told.returncode == 2
    assert said in told.stderr
    assert len(told.stderr.strip().splitlines()) == 1
