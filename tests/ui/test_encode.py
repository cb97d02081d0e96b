"""What is written is JSON that every client reads."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import math
import types
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from pydantic import BaseModel

from chatagent.errors import BadRequest
from chatagent.ui import decode, encode, encode_value
from tests.ui.streams import json_values


class Colour(enum.Enum):
    RED = "red"


class Model(BaseModel):
    when: datetime.date | None = None
    size: float = 1.5


@dataclasses.dataclass
class Point:
    x: Any


def _data(value: Any) -> Any:
    return json.loads(encode({"type": "data-x", "data": value}))["data"]


@given(json_values)
def test_json_comes_back_as_it_was(value: Any) -> None:
    raw = encode({"type": "data-x", "id": "d", "data": value})
    assert decode(raw)["data"] == value and b"\n" not in raw


@pytest.mark.parametrize(
    "chunk",
    [
        {"type": "text-delta", "id": "t", "delta": "hi"},
        {"id": "t", "type": "text-delta", "delta": "hi"},
        {"delta": "\ud83d", "id": "t", "type": "text-delta"},
        {"toolCallId": "c", "type": "tool-output-available", "output": None},
        {"data": 2**70, "type": "data-x"},
    ],
    ids=json.dumps,
)
def test_the_type_comes_first(chunk: dict[str, Any]) -> None:
    raw = encode(chunk)
    assert raw.startswith(b'{"type":"') and decode(raw) == chunk


def test_none_is_left_out_of_optional_fields_and_kept_where_it_is_data() -> None:
    chunk = {"type": "tool-output-available", "toolCallId": "c", "output": None, "providerMetadata": None}
    assert decode(encode(chunk)) == {"type": "tool-output-available", "toolCallId": "c", "output": None}
    kept = {"type": "tool-input-available", "input": None, "data": None, "messageMetadata": None}
    assert decode(encode(kept)) == kept


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC), "2026-01-02T03:04:00+00:00"),
        ([datetime.date(2026, 1, 2), None], ["2026-01-02", None]),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Decimal("1.50"), "1.50"),
        (Colour.RED, "red"),
        (Path("/a/b"), "/a/b"),
        (b"\xff\x00", "/wA="),
        ({3, 1, 2}, [1, 2, 3]),
        ((1, None), [1, None]),
        (Point([1, None]), {"x": [1, None]}),
        (Model(), {"when": None, "size": 1.5}),
        ({"m": Model(when=datetime.date(2026, 1, 2))}, {"m": {"when": "2026-01-02", "size": 1.5}}),
        (types.MappingProxyType({"a": None}), {"a": None}),
        ({2: "a", None: "b", True: "c", 1.5: "d"}, {"2": "a", "null": "b", "true": "c", "1.5": "d"}),
        (2**70, 2**70),
        ({"__proto__": {"a": 1}, "b": [{"__proto__": 1}]}, {"b": [{}]}),
        ({"constructor": {"prototype": 1}, "b": 1}, {"b": 1}),
        ({"constructor": None, "b": 1}, {"b": 1}),
        ({"constructor": "mine"}, {"constructor": "mine"}),
        ("half of an emoji: \ud83d", "half of an emoji: \ud83d"),
        ({"\ud83d": 1}, {"\ud83d": 1}),
    ],
    ids=str,
)
def test_values_beyond_json_are_written(value: Any, written: Any) -> None:
    assert _data(value) == written


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda bad: bad,
        lambda bad: [[bad]],
        lambda bad: {"a": ({"b": bad},)},
        lambda bad: {bad: 1},
        lambda bad: Model(size=bad),
        lambda bad: Point(bad),
        lambda bad: [None, Point({"a": [bad]})],
        lambda bad: {bad, 1.0},
        lambda bad: types.MappingProxyType({"a": bad}),
    ],
)
def test_nan_is_refused_wherever_it_hides(bad: float, wrap: Any) -> None:
    with pytest.raises(BadRequest, match="NaN or Infinity"):
        encode({"type": "data-x", "data": wrap(bad)})
    with pytest.raises(BadRequest, match="NaN or Infinity"):
        encode_value(wrap(bad))


def test_nan_is_refused_where_text_belongs() -> None:
    with pytest.raises(BadRequest):
        encode({"type": "text-delta", "id": "t", "delta": math.nan})


@pytest.mark.parametrize("value", [object(), len, ValueError("x"), {(1, 2): 3}], ids=lambda value: type(value).__name__)
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises(BadRequest, match="convert it first"):
        encode({"type": "data-x", "data": value})


def test_a_value_inside_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(BadRequest, match="in itself"):
        encode({"type": "data-x", "data": loop})


def test_nesting_that_orjson_refuses_is_written() -> None:
    deep: Any = 1
    for _ in range(400):
        deep = [deep]
    assert _data(deep) == deep


def test_a_whole_message_is_written_with_halves_of_characters() -> None:
    message = {"id": "m", "role": "assistant", "parts": [{"type": "text", "text": "\ud83d"}], "metadata": {"n": None}}
    assert decode(encode(message)) == message


def test_text_that_only_talks_about_dangerous_keys_is_kept() -> None:
    assert _data(['say "__proto__": and "constructor": null', None]) == [
        'say "__proto__": and "constructor": null',
        None,
    ]
