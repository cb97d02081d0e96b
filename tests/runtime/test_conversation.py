"""What a message does to a conversation."""

from __future__ import annotations

from typing import Any

import pytest

from chatagent.record import InRecord
from chatagent.runtime.conversation import apply

_CALL: dict[str, Any] = {"type": "tool-place", "toolCallId": "c", "state": "input-available", "input": {}}


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ({"state": "output-available", "output": 1}, {"state": "output-available", "output": 1}),
        ({"state": "output-available", "output": None}, {"state": "output-available", "output": None}),
        # Pages leave out what is undefined, and so hold no key either.
        ({"state": "output-available"}, {"state": "output-available"}),
        ({"state": "output-error", "errorText": "no"}, {"state": "output-error", "errorText": "no"}),
        ({"state": "output-denied"}, {}),
    ],
    ids=str,
)
def test_the_answer_of_a_page_to_a_call_is_stored_as_the_page_holds_it(
    sent: dict[str, Any], stored: dict[str, Any]
) -> None:
    messages: list[dict[str, Any]] = [
        {"id": "u", "role": "user", "parts": []},
        {"id": "a", "role": "assistant", "parts": [_CALL]},
    ]
    answer = {"id": "a", "role": "assistant", "parts": [{**_CALL, "input": "forged", **sent}]}
    applied = apply(messages, InRecord(1, "message", {"trigger": "submit-message", "message": answer}))
    assert applied.messages[-1]["parts"] == [{**_CALL, **stored}]
    assert applied.answered == bool(stored)
