"""What clients accept."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from chatagent.errors import BadRequest
from chatagent.ui import finish_reason, steering_chunk, tidy_chunk, validate_chunk
from tests.ui.streams import streams

Chunk = dict[str, Any]

_CALL: Chunk = {"type": "tool-input-available", "toolCallId": "c", "toolName": "w", "input": {}}


@settings(deadline=None, max_examples=50)
@given(streams())
def test_what_a_careful_agent_writes_is_accepted(chunks: list[Chunk]) -> None:
    for chunk in chunks:
        validate_chunk(chunk)


@pytest.mark.parametrize(
    ("chunk", "field"),
    [
        ({"type": "text-delta", "id": 1, "delta": "x"}, "text-delta.id"),
        ({"type": "text-delta", "id": "t"}, "text-delta.delta"),
        ({"type": "text-end", "id": "t", "providerMetadata": {"a": 1}}, "text-end.providerMetadata"),
        ({"type": "text-end", "id": "t", "providerMetadata": None}, "text-end.providerMetadata"),
        ({"type": "text-end", "id": "t", "citations": [{"source": {}}]}, "text-end.citations"),
        ({**_CALL, "dynamic": 1}, "tool-input-available.dynamic"),
        ({**_CALL, "toolMetadata": []}, "tool-input-available.toolMetadata"),
        ({"type": "finish", "finishReason": "tool_calls"}, "finish.finishReason"),
        ({"type": "source-document", "sourceId": "s", "mediaType": "a/b"}, "source-document.title"),
        ({"type": "steering-message", "id": "m", "parts": [{"type": "data-x"}]}, "steering-message.parts"),
        ({"type": "tool-approval-response", "approvalId": "a", "approved": "yes"}, "tool-approval-response.approved"),
        ({"type": "data-x", "id": 1, "data": 1}, "data-x.id"),
        ({"type": "data-x", "data": 1, "transient": None}, "data-x.transient"),
        ({"type": "of-the-future"}, "of-the-future"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_chunk_that_clients_refuse_is_refused_with_its_field(chunk: Chunk, field: str) -> None:
    with pytest.raises(BadRequest) as caught:
        validate_chunk(chunk)
    assert caught.value.field == field


@pytest.mark.parametrize("chunk", [None, "text", [], {}, {"type": 5}, {"delta": "x"}], ids=str)
def test_what_is_no_chunk_is_refused(chunk: Any) -> None:
    with pytest.raises(BadRequest, match="a dict with a `type`"):
        validate_chunk(chunk)


@pytest.mark.parametrize(
    "chunk",
    [
        {"type": "tool-output-available", "toolCallId": "c", "output": None},
        {"type": "tool-output-available", "toolCallId": "c"},
        {"type": "data-", "data": None},
        {"type": "text-start", "id": "", "of-the-future": 1},
        {"type": "message-metadata", "messageMetadata": None},
    ],
    ids=str,
)
def test_null_is_data_in_free_fields_and_unknown_fields_pass(chunk: Chunk) -> None:
    validate_chunk(chunk)


@pytest.mark.parametrize(
    ("chunk", "accepted"),
    [
        ({"type": "reset-step"}, [7]),
        ({"type": "custom", "kind": "a.b"}, [7]),
        ({"type": "tool-output-denied", "toolCallId": "c"}, [6, 7]),
        ({"type": "finish", "finishReason": "interrupted"}, [7]),
        ({"type": "finish", "finishReason": "unknown"}, [5]),
        ({**_CALL, "title": 5}, [5]),
    ],
    ids=str,
)
def test_generations_know_different_chunks(chunk: Chunk, accepted: list[int]) -> None:
    passed = []
    for major in (5, 6, 7):
        try:
            validate_chunk(chunk, major=major)
        except BadRequest:
            continue
        passed.append(major)
    assert passed == accepted


@pytest.mark.parametrize(
    ("given_reason", "said"),
    [
        ("stop", "stop"),
        ("tool_calls", "tool-calls"),
        ("function_call", "tool-calls"),
        ("content_filter", "content-filter"),
        ("content-filter", "content-filter"),
        ("length", "length"),
        ("eos", "other"),
        ("", "other"),
        (None, "other"),
    ],
)
def test_a_providers_finish_reason_is_said_in_the_streams_words(given_reason: str | None, said: str) -> None:
    assert finish_reason(given_reason) == said


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ({"type": "text-end", "id": "t", "providerMetadata": None}, {"type": "text-end", "id": "t"}),
        ({**_CALL, "input": None, "title": None}, {**_CALL, "input": None}),
        ({"type": "data-x", "id": None, "data": 1, "more": 2}, {"type": "data-x", "data": 1}),
        ({"type": "data-x", "data": 1, "transient": False}, {"type": "data-x", "data": 1}),
        ({"type": "data-x", "data": 1, "transient": True}, {"type": "data-x", "data": 1, "transient": True}),
        ({"type": "finish", "finishReason": "content_filter"}, {"type": "finish", "finishReason": "content-filter"}),
        ({"type": "finish", "finishReason": "interrupted"}, {"type": "finish", "finishReason": "interrupted"}),
        ({"type": "finish", "finishReason": None}, {"type": "finish"}),
        ({"type": "finish", "finishReason": 5}, {"type": "finish", "finishReason": 5}),
        ({"type": None, "x": 1}, {"x": 1}),
    ],
    ids=str,
)
def test_a_chunk_of_an_author_is_written_as_all_clients_keep_it(written: Chunk, kept: Chunk) -> None:
    assert tidy_chunk(written) == kept


def test_the_marker_of_a_steering_message_holds_what_clients_take() -> None:
    parts = [
        {"type": "text", "text": "a"},
        {"type": "data-x", "data": 1},
        {"type": "file", "mediaType": "image/png", "url": "https://a.b/c", "filename": "c"},
    ]
    chunk = steering_chunk({"id": "m", "role": "user", "parts": parts})
    assert chunk == {"type": "steering-message", "id": "m", "parts": [parts[0], parts[2]]}
    validate_chunk(chunk)
