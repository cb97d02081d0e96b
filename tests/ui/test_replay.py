"""Telling a message again gives the same message."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings

from chatagent.ui import fold_message, message_to_chunks, replay, validate_chunk
from tests.ui.streams import broken_streams, streams

Chunk = dict[str, Any]


@settings(deadline=None, max_examples=100)
@given(streams())
def test_the_chunks_of_a_message_fold_to_that_message(chunks: list[Chunk]) -> None:
    message = fold_message(chunks)
    told = message_to_chunks(message)
    assert fold_message(told) == message
    for chunk in told:
        validate_chunk(chunk)


@settings(deadline=None, max_examples=100)
@given(streams())
def test_a_message_that_was_cut_off_anywhere_can_be_told_too(chunks: list[Chunk]) -> None:
    for end in range(1, len(chunks), 3):
        message = fold_message(chunks[:end])
        assert fold_message(message_to_chunks(message)) == message


@settings(deadline=None, max_examples=100)
@given(broken_streams())
def test_a_log_is_told_without_its_dead_steps(chunks: list[Chunk]) -> None:
    told = replay(chunks)
    assert all(chunk["type"] != "reset-step" for chunk in told)
    assert fold_message(told) == fold_message(chunks)


def test_a_dead_step_leaves_what_it_changed_outside_of_itself() -> None:
    data = {"type": "data-progress", "id": "p"}
    call = {"type": "tool-input-available", "toolCallId": "c1", "toolName": "wait", "input": {}}
    kept: list[Chunk] = [
        {"type": "start", "messageId": "m"},
        {"type": "start-step"},
        {**data, "data": 1},
        call,
        {"type": "finish-step"},
        {"type": "start-step"},
    ]
    lasting: list[Chunk] = [
        {**data, "data": 2},
        {"type": "tool-output-available", "toolCallId": "c1", "output": "late"},
        {"type": "message-metadata", "messageMetadata": {"model": "m"}},
    ]
    dead: list[Chunk] = [
        {"type": "text-start", "id": "t"},
        {"type": "text-delta", "id": "t", "delta": "dead"},
        {"type": "data-toast", "data": "dead", "transient": True},
        {**call, "toolCallId": "c2"},
        {"type": "tool-output-available", "toolCallId": "c2", "output": "dead"},
    ]
    assert replay([*kept, *dead, *lasting, {"type": "reset-step"}]) == [*kept, *lasting]


def test_a_message_keeps_its_id_and_metadata() -> None:
    message = {"id": "m", "role": "assistant", "parts": [], "metadata": {"model": "x"}}
    assert message_to_chunks(message) == [{"type": "start", "messageId": "m", "messageMetadata": {"model": "x"}}]


def test_a_server_tool_is_told_with_one_call() -> None:
    """Clients act on every `tool-input-available` that they see."""
    approval = {"id": "a", "approved": True}
    part = {"type": "tool-pay", "toolCallId": "c", "state": "output-available", "input": {}, "output": 1}
    told = message_to_chunks({"id": "m", "role": "assistant", "parts": [{**part, "approval": approval}]})
    assert [chunk["type"] for chunk in told[1:]] == [
        "tool-input-available",
        "tool-approval-request",
        "tool-approval-response",
        "tool-output-available",
    ]


def test_what_no_chunk_can_say_is_left_out() -> None:
    file = {"type": "file", "mediaType": "image/png", "url": "https://x.example/y.png"}
    parts = [{**file, "filename": "y.png"}, {"type": "of-another-library", "a": 1}]
    told = message_to_chunks({"id": "m", "role": "assistant", "parts": parts})
    assert fold_message(told)["parts"] == [file]


def test_text_without_a_state_comes_back_done() -> None:
    told = message_to_chunks({"id": "m", "role": "assistant", "parts": [{"type": "text", "text": "hi"}]})
    assert fold_message(told)["parts"] == [{"type": "text", "text": "hi", "state": "done"}]
