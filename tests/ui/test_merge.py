"""Metadata of a message is merged as clients merge it."""

from __future__ import annotations

from typing import Any

import pytest

from chatagent.errors import StreamError
from chatagent.ui.merge import merge_metadata


@pytest.mark.parametrize(
    ("old", "new", "merged"),
    [
        (None, {"a": 1}, {"a": 1}),
        ({"a": 1}, None, {"a": 1}),
        (None, "text", "text"),
        ({"a": {"x": 1}}, {"a": {"y": 2}, "b": 3}, {"a": {"x": 1, "y": 2}, "b": 3}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"x": 1}}, {"a": None}, {"a": None}),
        ({"a": None}, {"a": {"x": 1}}, {"a": {"x": 1}}),
        ({"a": 1}, {"__proto__": 1, "constructor": 2, "prototype": 3, "b": 4}, {"a": 1, "b": 4}),
        ({"a": 1}, 5, {"a": 1}),
        ([1], {"a": 2}, {"0": 1, "a": 2}),
        ("😀", {}, {"0": "\ud83d", "1": "\ude00"}),
    ],
)
def test_objects_merge_and_all_else_replaces(old: Any, new: Any, merged: Any) -> None:
    assert merge_metadata(old, new) == merged


@pytest.mark.parametrize("old", ["text", 5, True])
def test_a_scalar_takes_no_keys(old: Any) -> None:
    with pytest.raises(StreamError, match="cannot take keys"):
        merge_metadata(old, {"a": 1})
