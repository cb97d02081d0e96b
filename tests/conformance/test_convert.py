"""Model messages, judged by the request that ai 7.0.173 with @ai-sdk/openai-compatible 3.0.92 sends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatagent.errors import BadRequest
from chatagent.ui import to_model_messages
from tests.conformance.golden import pairs

Case = dict[str, Any]

#: Cases that are meant to differ: what we send, and why.
EXPECTED_DIFFERENCES: dict[str, tuple[Any, str]] = {
    "user empty text": ([], "providers refuse a user message without content (reference §5.4.8)"),
    "user no parts": ([], "providers refuse a user message without content (§5.4.8)"),
    "tool input-available then user": (
        [{"role": "user", "content": "q"}, {"role": "user", "content": "go on"}],
        "the SDK throws MissingToolResultsError; a call without a result is left out (§5.4.1)",
    ),
    "tool approval-responded approved last": (
        [{"role": "user", "content": "q"}],
        "the SDK throws; an approved call is told when it is about to be executed (§5.4.10)",
    ),
}
#: Cases in which both refuse.
REFUSED = ("user audio ogg", "user unknown binary", "unknown role")

_CASES = pairs("convert.cases", "convert.v7.compatible")


def _text_of_data(part: dict[str, Any]) -> dict[str, Any]:
    return {"type": "text", "text": json.dumps(part["data"], separators=(",", ":"))}


def _options(case: Case) -> dict[str, Any]:
    given = case.get("options") or {}
    incomplete = {"ignore_incomplete_tool_calls": True} if given.get("ignoreIncompleteToolCalls") else {}
    return incomplete | ({"convert_data_part": _text_of_data} if given.get("convertDataParts") else {})


def _read_json(messages: Any) -> Any:
    """The messages with JSON texts read: JavaScript writes 1.0 as 1."""
    for message in messages or ():
        for call in message.get("tool_calls", ()):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
        if message["role"] == "tool":
            try:
                message["content"] = json.loads(message["content"])
            except ValueError:
                continue  # it is plain text
    return messages


@pytest.mark.parametrize(("case", "golden"), _CASES, ids=[case["name"] for case, _ in _CASES])
def test_a_model_is_told_what_the_sdk_tells_it(case: Case, golden: Case) -> None:
    if case["name"] in REFUSED:
        assert golden["messages"] is None
        with pytest.raises(BadRequest):
            to_model_messages(case["messages"], **_options(case))
        return
    told = to_model_messages(case["messages"], **_options(case))
    if case["name"] in EXPECTED_DIFFERENCES:
        assert told == EXPECTED_DIFFERENCES[case["name"]][0] != golden["messages"]
    else:
        assert _read_json(told) == _read_json(golden["messages"])


def test_every_expected_difference_is_a_case() -> None:
    assert {*EXPECTED_DIFFERENCES, *REFUSED} <= {case["name"] for case, _ in _CASES}
