"""What older clients are given of stored messages."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from hypothesis import given, settings

from chatagent.ui import Dialect, fold_message, message_to_chunks, translate_message
from tests.ui.streams import streams

Chunk = dict[str, Any]
Major = Literal[5, 6]


@pytest.mark.parametrize("major", [5, 6])
@settings(deadline=None, max_examples=60)
@given(streams())
def test_a_stored_message_shows_what_its_stream_showed(major: Major, chunks: list[Chunk]) -> None:
    message = fold_message(chunks)
    given_back = translate_message(message, major)
    dialect = Dialect(major)
    streamed = fold_message([told for chunk in chunks for told in dialect.translate(chunk)], major=major)
    assert _essence(given_back) == _essence(streamed)
    assert translate_message(given_back, major) == given_back
    assert translate_message(message, 7) is message


def _essence(message: Chunk) -> list[Any]:
    """The parts, without what 5 and 6 keep of a chunk otherwise than 7 does (titles, metadata, citations)."""
    kept = ("type", "toolCallId", "state", "input", "output", "text", "url", "data", "id")
    shown = [part for part in message["parts"] if part.get("state") != "output-error"]
    return sorted(json.dumps({name: part[name] for name in kept if name in part}, sort_keys=True) for part in shown)


def test_what_was_asked_is_asked_again_on_a_page_of_5() -> None:
    call = {"type": "tool-pay", "toolCallId": "c", "input": {}}
    message: dict[str, Any] = {
        "id": "m",
        "role": "assistant",
        "metadata": {"a": 1},
        "parts": [
            {"type": "step-start"},
            {"type": "file", "mediaType": "image/png", "url": "https://example.org/", "filename": "kept.png"},
            {**call, "state": "approval-requested", "approval": {"id": "a", "requestReason": "money"}},
            {"type": "steering-message", "id": "s", "parts": [{"type": "text", "text": "wait"}]},
        ],
    }
    told = translate_message(message, 5)
    assert {**told, "parts": None} == {**message, "parts": None}
    assert told["parts"][:3] == [*message["parts"][:2], {**call, "state": "input-available"}]
    asked = {"approvalId": "a", "toolCallId": "c", "reason": "money"}
    assert told["parts"][3] == {"type": "data-tool-approval-request", "id": "a", "data": asked}
    assert told["parts"][4]["type"] == "data-pending-message-injected"
    assert translate_message(message, 6)["parts"][:3] == message["parts"][:3]
    user = {**message, "role": "user"}
    assert translate_message(user, 5) is user
    assert fold_message(message_to_chunks(told), major=5)["parts"][2:] == told["parts"][2:]
