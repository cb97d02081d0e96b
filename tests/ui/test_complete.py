from __future__ import annotations

from typing import Any

import pytest

from chatagent.ui import asks_to_go_on

STEP: dict[str, Any] = {"type": "step-start"}


def call(state: str, **fields: Any) -> dict[str, Any]:
    return {"type": "tool-w", "toolCallId": "c", "state": state, "input": {}, **fields}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([], False),
        ([STEP, {"type": "text", "text": "x", "state": "done"}], False),
        ([STEP, call("output-available", output=1)], True),
        ([STEP, call("output-error", errorText="x"), call("output-available", output=1)], True),
        ([STEP, call("output-available", output=1), call("input-available")], False),
        ([STEP, call("output-available", output=1, preliminary=True)], True),
        ([STEP, call("output-available", output=1, providerExecuted=True)], False),
        ([STEP, call("output-available", output=1), STEP, {"type": "data-turn-end", "data": {}}], False),
    ],
)
def test_only_answered_calls_in_the_last_step_ask_to_go_on(parts: list[dict[str, Any]], expected: bool) -> None:
    assert asks_to_go_on({"id": "m", "role": "assistant", "parts": parts}) is expected
