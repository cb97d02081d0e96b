"""Tools made of functions: names, schemas, validation."""

from __future__ import annotations

import datetime
import enum
import inspect
import string
from keyword import iskeyword
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from chatagent.errors import ConfigError
from chatagent.llm import InvalidToolInput, Tool, client_tool, to_tool, to_tools, tool
from chatagent.llm.call import read_call
from chatagent.llm.docstring import parse


class Unit(enum.Enum):
    CELSIUS = "C"
    FAHRENHEIT = "F"


class Place(BaseModel):
    city: str
    country: str | None = None


@tool
async def forecast(place: Place, days: Annotated[int, Field(ge=1, le=7)] = 3, unit: Unit = Unit.CELSIUS) -> str:
    """Forecast the weather.

    Uses the nearest station.

    Args:
        place: Where; the country
            may be left out.
        days (int): How many days.

    Returns:
        A sentence.
    """
    return f"{place.city} {days} {unit.value}"


def test_the_schema_comes_from_hints_and_docstring() -> None:
    assert forecast.name == "forecast"
    assert forecast.description == "Forecast the weather.\n\nUses the nearest station."
    schema = dict(forecast.input_schema)
    assert schema["required"] == ["place"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["place"]["description"] == "Where; the country may be left out."
    days = {"default": 3, "description": "How many days.", "maximum": 7, "minimum": 1, "type": "integer"}
    assert schema["properties"]["days"] == days
    assert "title" not in schema


def test_the_definition_is_openais() -> None:
    definition = forecast.definition
    assert definition["type"] == "function"
    assert sorted(definition["function"]) == ["description", "name", "parameters"]


def test_a_decorated_function_can_still_be_called() -> None:
    @tool
    def double(number: int) -> int:
        """Double it."""
        return number * 2

    four: int = double(2)
    assert four == 4
    assert double.__doc__ == "Double it."
    assert list(inspect.signature(double).parameters) == ["number"]


def test_the_function_gets_what_its_hints_say() -> None:
    value, _ = forecast.validate({"place": {"city": "Bonn"}, "unit": "F"})
    assert isinstance(value.place, Place)
    assert value.unit is Unit.FAHRENHEIT


def test_the_input_that_clients_see_is_plain_json() -> None:
    @tool
    def remind(at: datetime.datetime, tags: set[str] = frozenset()) -> None: ...  # type: ignore[assignment]

    _, shown = remind.validate({"at": "2026-01-02T03:04:05Z", "tags": ["a"]})
    assert shown == {"at": "2026-01-02T03:04:05Z", "tags": ["a"]}


def test_what_does_not_fit_is_refused_with_the_place_and_the_reason() -> None:
    with pytest.raises(InvalidToolInput, match=r"place\.city: Field required; days: .*less than or equal to 7"):
        forecast.validate({"place": {}, "days": 8})


def test_options_may_be_given() -> None:
    @tool(name="pay_bill", description="Pays.", needs_approval=True, title="Pay", dynamic=True)
    def pay(amount: float) -> None: ...

    assert (pay.name, pay.description, pay.title, pay.needs_approval, pay.dynamic) == (
        "pay_bill",
        "Pays.",
        "Pay",
        True,
        True,
    )


def test_a_client_tool_has_a_schema_and_no_body() -> None:
    @client_tool(title="Sign")
    def sign(document: Literal["a", "b"]) -> str:
        """Let the user sign.

        :param document: Which one.
        """
        raise AssertionError

    assert sign.execute is None
    document = {"description": "Which one.", "enum": ["a", "b"], "type": "string"}
    assert sign.input_schema["properties"] == {"document": document}


def test_a_tool_may_be_described_by_a_model() -> None:
    ask = Tool(name="ask", description="Ask the user.", input=Place)
    assert ask.execute is None
    assert ask.input_schema["required"] == ["city"]


def test_parameters_may_be_named_like_methods_of_pydantic() -> None:
    @tool
    def store(json: str, schema: str, model_name: str = "") -> str:
        return json

    value, _ = store.validate({"json": "{}", "schema": "x"})
    assert (value.json, value.schema) == ("{}", "x")


def test_the_type_of_the_result_need_not_be_known() -> None:
    @tool
    def look() -> SomethingThatIsNotImported:  # type: ignore[name-defined]  # noqa: F821
        return None

    assert look.input_schema["properties"] == {}


class Opaque:
    pass


def test_a_signature_that_no_model_can_fill_is_refused_at_once() -> None:
    def variadic(*numbers: int) -> None: ...
    def positional(number: int, /) -> None: ...
    def hidden(_secret: str) -> None: ...
    def opaque(thing: Opaque) -> None: ...
    def unknown(thing: NotThere) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    for function in (variadic, positional, hidden, opaque, unknown):
        with pytest.raises(ConfigError, match=f"tool {function.__name__}"):
            tool(function)


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two tools are named forecast"):
        to_tools([forecast, forecast])


def test_plain_functions_become_tools() -> None:
    def plain(text: str) -> str:
        return text

    assert to_tool(plain).name == "plain"
    assert to_tool(forecast) is forecast
    assert list(to_tools([plain, forecast])) == ["plain", "forecast"]


NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=8).filter(lambda name: not iskeyword(name))
LINES = st.text(string.ascii_letters + " ,.", min_size=1, max_size=30).map(str.strip).filter(bool)
TYPES = st.sampled_from([(int, 7), (str, "x"), (bool, True), (list[int], [1]), (dict[str, int], {"a": 1})])


@given(
    st.dictionaries(NAMES, st.tuples(LINES, TYPES), max_size=5),
    LINES,
    st.sampled_from(["google", "numpy", "sphinx", "epydoc"]),
)
def test_any_signature_gives_a_schema_that_accepts_its_values(
    parameters: dict[str, tuple[str, tuple[Any, Any]]], summary: str, style: str
) -> None:
    def function(**arguments: Any) -> Any:
        return arguments

    keyword = inspect.Parameter.KEYWORD_ONLY
    function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, keyword, annotation=kind) for name, (_, (kind, _)) in parameters.items()]
    )
    function.__annotations__ = {name: kind for name, (_, (kind, _)) in parameters.items()}
    lines = {name: line for name, (line, _) in parameters.items()}
    styles = {
        "google": ["Args:", *(f"    {name}: {line}" for name, line in lines.items()), "", "Returns:", "    All."],
        "numpy": ["Parameters", "-" * 10, *(f"{name} : int\n    {line}" for name, line in lines.items())],
        "sphinx": [f":param {name}: {line}" for name, line in lines.items()],
        "epydoc": [*(f"@param {name}: {line}" for name, line in lines.items()), "@return: All."],
    }
    function.__doc__ = "\n".join([f"{summary}!", "", *styles[style]])
    made = tool(function)
    arguments = {name: value for name, (_, (_, value)) in parameters.items()}
    assert made.description == f"{summary}!"
    assert sorted(made.input_schema.get("required", ())) == sorted(parameters)
    for name, (line, _) in parameters.items():
        assert made.input_schema["properties"][name]["description"] == line
    assert made.validate(arguments)[1] == arguments


@given(st.text())
def test_any_docstring_can_be_read(text: str) -> None:
    found = parse(text)
    assert isinstance(found.description, str)
    assert all(found.params)


@given(st.text(max_size=40))
def test_whatever_a_model_sends_becomes_a_call_or_an_answer(arguments: str) -> None:
    call = read_call("c1", "forecast", arguments, {"forecast": forecast})
    assert call.state in ("called", "invalid")
    assert (call.error is None) == (call.state == "called")
    if call.state == "invalid":
        assert "Invalid input for tool forecast" in call.answer


def test_a_docstring_without_sections_is_all_description() -> None:
    assert parse("One: two.\n\nThree.").description == "One: two.\n\nThree."
    assert parse(None).description == ""


def test_text_after_a_section_belongs_to_the_description() -> None:
    found = parse("First.\n\nArgs:\n    a: An a.\n\nLast.")
    assert found.description == "First.\n\n\nLast." or found.description == "First.\n\nLast."
    assert found.params == {"a": "An a."}


def test_numpys_style_may_name_several_parameters_at_once() -> None:
    found = parse(
        "First.\n\nParameters\n----------\na, b : int\n    Both,\n    really.\n\nReturns\n-------\nint\n    It."
    )
    assert found.description == "First."
    assert found.params == {"a": "Both, really.", "b": "Both, really."}
