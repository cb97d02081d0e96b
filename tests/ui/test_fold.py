"""Chunks become a message."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings

from chatagent.errors import StreamError
from chatagent.ui import Fold, fold_message
from tests.ui.streams import streams

Chunk = dict[str, Any]

_CALL: Chunk = {"type": "tool-input-available", "toolCallId": "c", "toolName": "pay", "input": {}}


def _parts(*chunks: Chunk, major: Any = 7) -> list[Chunk]:
    parts: list[Chunk] = fold_message(chunks, major=major)["parts"]
    return parts


@settings(deadline=None, max_examples=50)
@given(streams())
def test_looking_at_a_message_while_it_grows_changes_nothing(chunks: list[Chunk]) -> None:
    watched = Fold()
    for chunk in chunks:
        watched.add(chunk)
        assert watched.message["role"] == "assistant"
    assert watched.message == fold_message(chunks)


@settings(deadline=None, max_examples=50)
@given(streams(), streams())
def test_what_is_continued_and_the_chunks_stay_as_they_were(before: list[Chunk], chunks: list[Chunk]) -> None:
    initial = fold_message(before)
    given_message, given_chunks = copy.deepcopy(initial), copy.deepcopy(chunks)
    fold_message(chunks, initial)
    assert (initial, chunks) == (given_message, given_chunks)


def test_a_message_without_a_start_gets_an_id() -> None:
    first, second = fold_message([]), fold_message([])
    assert len(first["id"]) == 16 and first["id"] != second["id"]


def test_only_an_assistant_message_is_continued() -> None:
    user = {"id": "u", "role": "user", "parts": [{"type": "text", "text": "hi"}]}
    assert fold_message([{"type": "start", "messageId": "m"}], user) == {"id": "m", "role": "assistant", "parts": []}


def test_halves_of_a_character_in_two_deltas_are_one_character() -> None:
    high, low = "\ud83d", "\ude00"
    deltas: list[Chunk] = [{"type": "text-delta", "id": "t", "delta": delta} for delta in (f"a{high}", f"{low}b")]
    assert _parts({"type": "text-start", "id": "t"}, *deltas)[0]["text"] == "a😀b"


@pytest.mark.parametrize(
    "chunk",
    [
        {"type": "text-delta", "id": "nobody", "delta": "x"},
        {"type": "text-end", "id": "nobody"},
        {"type": "reasoning-delta", "id": "t", "delta": "another kind"},
        {"type": "text-delta", "id": "t", "delta": None},
        {"type": "tool-input-delta", "toolCallId": "nobody", "inputTextDelta": "x"},
        {"type": "tool-output-available", "toolCallId": "nobody", "output": 1},
        {"type": "tool-output-denied", "toolCallId": "nobody"},
        {"type": "tool-approval-response", "approvalId": "nobody", "approved": True},
        {"type": "message-metadata", "messageMetadata": {"k": 1}},
    ],
    ids=lambda chunk: chunk["type"],
)
def test_a_chunk_that_does_not_fit_raises_and_changes_nothing(chunk: Chunk) -> None:
    fold = Fold()
    for good in (
        {"type": "start", "messageId": "m", "messageMetadata": "a string takes no keys"},
        {"type": "text-start", "id": "t"},
        {"type": "text-delta", "id": "t", "delta": "so far"},
    ):
        fold.add(good)
    before = copy.deepcopy(fold.message)
    with pytest.raises(StreamError) as caught:
        fold.add(chunk)
    assert caught.value.chunk_type == chunk["type"]
    assert fold.message == before


def test_nothing_after_a_chunk_that_does_not_fit_counts() -> None:
    parts = _parts(
        {"type": "file", "url": "u", "mediaType": "image/png"},
        {"type": "text-end", "id": "nobody"},
        {"type": "file", "url": "u2", "mediaType": "image/png"},
    )
    assert [part["url"] for part in parts] == ["u"]


def test_an_unknown_chunk_is_passed_over() -> None:
    assert _parts({"type": "of-the-future"}, {"type": "start-step"}) == [{"type": "step-start"}]


def test_what_is_open_can_be_closed() -> None:
    fold = Fold()
    for chunk in (
        {"type": "text-start", "id": "t"},
        {"type": "reasoning-start", "id": "t"},
        {**_CALL, "toolCallId": "c1"},
        {**_CALL, "toolCallId": "c2", "dynamic": True},
        {**_CALL, "toolCallId": "c3"},
        {"type": "tool-output-available", "toolCallId": "c3", "output": 1},
        {**_CALL, "toolCallId": "c4"},
        {"type": "tool-approval-request", "toolCallId": "c4", "approvalId": "a4"},
        {**_CALL, "toolCallId": "c5"},
        {"type": "tool-approval-request", "toolCallId": "c5", "approvalId": "a5"},
        {"type": "tool-approval-response", "approvalId": "a5", "approved": False},
    ):
        fold.add(chunk)
    ends = [{"type": "text-end", "id": "t"}, {"type": "reasoning-end", "id": "t"}]
    assert fold.closing() == ends
    closing = fold.closing("stopped")
    assert closing == [
        *ends,
        {"type": "tool-output-error", "toolCallId": "c1", "errorText": "stopped"},
        {"type": "tool-output-error", "toolCallId": "c2", "errorText": "stopped", "dynamic": True},
        {"type": "tool-output-denied", "toolCallId": "c5"},
    ]
    for chunk in closing:
        fold.add(chunk)
    states = [part["state"] for part in fold.message["parts"]]
    assert states == [*["done"] * 2, *["output-error"] * 2, "output-available", "approval-requested", "output-denied"]


def test_clients_of_7_remove_what_follows_the_last_step_start() -> None:
    chunks: list[Chunk] = [
        {"type": "start-step"},
        {"type": "text-start", "id": "t"},
        {"type": "finish-step"},
        {"type": "start-step"},
        _CALL,
        {"type": "data-x", "id": "d", "data": 1},
        {"type": "reset-step"},
    ]
    assert [part["type"] for part in _parts(*chunks)] == ["step-start", "text", "step-start"]
    assert [part["type"] for part in _parts(*chunks, major=6)][-2:] == ["tool-pay", "data-x"]
    again = _parts(*chunks, {"type": "data-x", "id": "d", "data": 2})
    assert again[-1] == {"type": "data-x", "id": "d", "data": 2}


def test_why_an_answer_ended_is_known_apart_from_the_message() -> None:
    fold = Fold()
    fold.add({"type": "finish", "finishReason": "length", "messageMetadata": {"tokens": 3}})
    assert fold.finish_reason == "length"
    assert fold.message["metadata"] == {"tokens": 3} and "finishReason" not in fold.message


def test_a_data_part_is_replaced_where_it_stands() -> None:
    parts = _parts(
        {"type": "data-progress", "id": "p", "data": {"pct": 1}},
        {"type": "start-step"},
        {"type": "data-progress", "id": "p", "data": {"pct": 2}},
        {"type": "data-progress", "id": "p", "data": {"pct": 3}, "transient": True},
        {"type": "data-progress", "data": "without an id"},
    )
    assert parts == [
        {"type": "data-progress", "id": "p", "data": {"pct": 2}},
        {"type": "step-start"},
        {"type": "data-progress", "data": "without an id"},
    ]


def test_input_is_read_as_it_streams_and_again_when_it_goes_on_later() -> None:
    start: Chunk = {"type": "tool-input-start", "toolCallId": "c", "toolName": "w"}
    delta: Chunk = {"type": "tool-input-delta", "toolCallId": "c", "inputTextDelta": '{"city":"Par'}
    begun = fold_message([start, delta])
    assert begun["parts"][0]["input"] == {"city": "Par"}
    done = fold_message([{**delta, "inputTextDelta": 'is"}'}], begun)
    assert (done["parts"][0]["input"], done["parts"][0]["rawInput"]) == ({"city": "Paris"}, '{"city":"Paris"}')
