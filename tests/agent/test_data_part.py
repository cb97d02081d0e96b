from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict
from typing_extensions import TypedDict

from chatagent.agent.data_part import DataParts
from chatagent.errors import BadRequest, ConfigError


class Weather(BaseModel):
    city: str
    day: date
    celsius: float | None = None


class Usage(BaseModel):
    model_config = ConfigDict(serialize_by_alias=True)
    model: str
    tokens: int = 0


class Step(TypedDict):
    done: int


parts = DataParts({"weather": Weather, "step": Step, "words": list[str]}, metadata=Usage)


def test_data_is_dumped_as_json_whether_it_is_given_as_a_model_or_as_a_dict() -> None:
    expected = {"type": "data-weather", "data": {"city": "Rome", "day": "2026-01-02", "celsius": None}, "id": "w"}
    given = Weather(city="Rome", day=date(2026, 1, 2))
    assert parts.check({"type": "data-weather", "data": given, "id": "w"}) == expected
    assert (
        parts.check({"type": "data-weather", "data": {"city": "Rome", "day": date(2026, 1, 2)}, "id": "w"}) == expected
    )
    assert parts.check({"type": "data-step", "data": {"done": 1}, "transient": True})["transient"] is True
    assert parts.check({"type": "data-words", "data": ["a"]})["data"] == ["a"]


def test_what_was_given_is_not_changed() -> None:
    chunk = {"type": "data-weather", "data": {"city": "Rome", "day": date(2026, 1, 2)}}
    parts.check(chunk)
    assert chunk["data"] == {"city": "Rome", "day": date(2026, 1, 2)}


def test_what_is_written_is_a_copy_also_without_models() -> None:
    progress = {"percent": 1, "seen": {"a"}}
    chunk = DataParts().check({"type": "data-progress", "data": progress})
    progress["percent"] = 2
    assert chunk["data"] == {"percent": 1, "seen": ["a"]}
    with pytest.raises(BadRequest, match="cannot say: object is not JSON"):
        DataParts().check({"type": "data-progress", "data": {"value": object()}})


@pytest.mark.parametrize(
    ("chunk", "said"),
    [
        (
            {"type": "data-weather", "data": {"city": "Rome"}},
            r"data-weather: day: Field required; .*\['weather'\]",
        ),
        ({"type": "data-weather"}, "data-weather: "),
        ({"type": "data-wether", "data": {}}, "data-wether: .*step, weather, words.*data_parts"),
        ({"type": "data-words", "data": "a"}, "data-words: Input should be a valid list"),
        ({"type": "data-weather", "data": Usage(model="x")}, "data-weather: "),
        ({"type": "start", "messageMetadata": {"tokens": 1}}, "metadata of start: model: .*message_metadata_schema"),
    ],
)
def test_wrong_data_is_refused_with_what_is_wrong_and_the_mend(chunk: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parts.check(chunk)


def test_metadata_is_checked_as_clients_see_it_after_merging() -> None:
    late = {"type": "finish", "messageMetadata": {"tokens": 3}}
    assert parts.check(late, metadata={"model": "demo"}) == late
    with pytest.raises(ConfigError, match="tokens"):
        parts.check({"type": "finish", "messageMetadata": {"tokens": "many"}}, metadata={"model": "demo"})


def test_metadata_given_as_a_model_overwrites_only_what_it_was_given() -> None:
    chunk = parts.check({"type": "message-metadata", "messageMetadata": Usage(model="demo")}, metadata={"tokens": 5})
    assert chunk["messageMetadata"] == {"model": "demo"}


def test_without_models_everything_passes_and_models_are_dumped() -> None:
    free = DataParts()
    assert free.check({"type": "data-any", "data": Usage(model="x")})["data"] == {"model": "x", "tokens": 0}
    assert free.check({"type": "finish", "messageMetadata": [1]}) == {"type": "finish", "messageMetadata": [1]}
    text = {"type": "text-delta", "id": "t", "delta": "x"}
    assert free.check(text) is text


def test_an_empty_declaration_allows_no_data_part_but_our_own() -> None:
    none = DataParts({})
    with pytest.raises(ConfigError, match="there are: none"):
        none.check({"type": "data-x", "data": 1})
    assert none.check({"type": "data-turn-end", "data": {"reason": "stopped"}})["data"] == {"reason": "stopped"}


@pytest.mark.parametrize("name", ["data-weather", "turn-end", ""])
def test_names_that_cannot_be_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="after 'data-'"):
        DataParts({name: Weather})


def test_a_type_that_pydantic_cannot_validate_is_refused() -> None:
    class Odd: ...

    with pytest.raises(ConfigError, match="no type that pydantic validates"):
        DataParts({"odd": Odd})
