"""Tool input while it is written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatagent.ui import parse_partial_json
from tests.ui.streams import json_values

_NOTHING: Any = object()


def _value(text: str, major: int = 7) -> Any:
    parsed = parse_partial_json(text, major=major)
    return _NOTHING if parsed is None else parsed.value


@given(json_values, st.booleans())
def test_whole_json_is_itself(value: Any, ascii_only: bool) -> None:
    parsed = parse_partial_json(json.dumps(value, ensure_ascii=ascii_only))
    if parsed is None:
        assert "__proto__" in json.dumps(value)
    else:
        assert parsed.complete and parsed.value == value


@settings(deadline=None)
@given(json_values)
def test_every_beginning_of_json_is_read_or_refused_and_never_breaks(value: Any) -> None:
    text = json.dumps({"a": [value, value]})
    seen = [parse_partial_json(text[:end]) for end in range(len(text))]
    assert all(parsed is None or not parsed.complete for parsed in seen)
    assert seen[1] is not None and seen[1].value == {}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", _NOTHING),
        ("  ", _NOTHING),
        ('{"a', {}),
        ('{"a":', {}),
        ('{"a":1', {"a": 1}),
        ('{"a":1,', {"a": 1}),
        ('{"a":1,"b', {"a": 1}),
        ('{"a":-', {}),
        ('{"a":1.', {"a": 1}),
        ('{"a":1e', {"a": 1}),
        ('{"a":1e-', {"a": 1}),
        ('["a","b', ["a", "b"]),
        ('["a\\', ["a"]),
        ('["a\\u00e', ["a"]),
        ('["a\\u00e9', ["aé"]),
        ('{"a":tr', {"a": True}),
        ('{"a":f', {"a": False}),
        ('{"a":nul', {"a": None}),
        ("nul", None),
        ('[[{"a":[', [[{"a": []}]]),
        ("12.5", 12.5),
        ('"half', "half"),
        ("]", _NOTHING),
        ("{]", {}),
        ("NaN", _NOTHING),
        ('[1e999, "x', [None, "x"]),
        ('{"__proto__":{"a":1}}', _NOTHING),
        ('{"constructor":{"prototype":1}}', _NOTHING),
        ('{"constructor":"mine"}', {"constructor": "mine"}),
        ('["\\ud83d', ["\ud83d"]),
    ],
)
def test_what_is_decided_counts(text: str, value: Any) -> None:
    assert _value(text) == value


def test_clients_of_5_give_up_on_half_an_escape() -> None:
    assert [_value('["a\\u00', major) for major in (5, 6, 7)] == [_NOTHING, ["a"], ["a"]]


def test_clients_before_7_give_up_on_an_array_whose_first_item_is_undecided() -> None:
    assert [_value("[-", major) for major in (5, 6, 7)] == [_NOTHING, _NOTHING, []]


def test_deep_nesting_ends_in_nothing_and_not_in_a_crash() -> None:
    assert _value("[" * 100_000) is _NOTHING
