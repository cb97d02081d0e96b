"""What older clients are sent."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import given, settings

from chatagent.ui import Dialect, decode, encode, fold_message, message_to_chunks, replay, validate_chunk
from chatagent.ui.dialect import REDONE
from chatagent.ui.tool_part import DENIED
from tests.ui.streams import broken_streams, streams

Chunk = dict[str, Any]
Major = Literal[5, 6, 7] | None

_MAJORS: tuple[Major, ...] = (5, 6, 7, None)
_CALL: Chunk = {"type": "tool-input-available", "toolCallId": "c", "toolName": "pay", "input": {}}
_ASK: Chunk = {"type": "tool-approval-request", "toolCallId": "c", "approvalId": "a", "reason": "money"}
_DONE: Chunk = {"type": "tool-output-available", "toolCallId": "c"}
_START: Chunk = {"type": "start-step"}


def _sent(chunks: list[Chunk], major: Major) -> list[Chunk]:
    dialect = Dialect(major)
    return [decode(raw) for chunk in chunks for raw in dialect.encode(encode(chunk))]


def _shown(chunks: list[Chunk], major: Major) -> list[Chunk]:
    """What a client of this generation makes of it; every chunk must be one that it accepts and that fits."""
    sent = _sent(chunks, major)
    for chunk in sent:
        validate_chunk(chunk, major=major or 5)
    parts: list[Chunk] = fold_message([*sent, {"type": "data-end", "data": "reached"}], major=major or 5)["parts"]
    assert parts.pop() == {"type": "data-end", "data": "reached"}, "a chunk did not fit"
    return parts


@pytest.mark.parametrize("major", _MAJORS)
@settings(deadline=None, max_examples=60)
@given(streams())
def test_every_stream_is_understood(major: Major, chunks: list[Chunk]) -> None:
    shown = _shown(chunks, major)
    ours = fold_message(chunks)["parts"]
    for kind in ("text", "reasoning", "file", "source-url"):
        before = [part.get("text", part.get("url")) for part in ours if part["type"] == kind]
        after = [part.get("text", part.get("url")) for part in shown if part["type"] == kind]
        assert after == before or (kind == "file" and len(after) > len(before)), "a reasoning-file becomes a file"


@pytest.mark.parametrize("major", [5, 6, None])
@settings(deadline=None, max_examples=60)
@given(broken_streams())
def test_a_step_that_was_taken_back_is_closed_and_started_anew(major: Major, chunks: list[Chunk]) -> None:
    shown = _shown(chunks, major)
    assert all(part.get("state") not in ("streaming", "input-streaming") for part in shown)
    lasting = {part["toolCallId"] for part in fold_message(chunks)["parts"] if "toolCallId" in part}
    waiting = {part["toolCallId"] for part in shown if part.get("state") == "input-available"}
    assert waiting <= lasting, "nobody waits for a call that was taken back"


@pytest.mark.parametrize("major", [5, 6, None])
@settings(deadline=None, max_examples=30)
@given(broken_streams())
def test_a_replay_shows_nothing_of_dead_steps(major: Major, chunks: list[Chunk]) -> None:
    alive = replay(message_to_chunks(fold_message(chunks)))
    assert [part["type"] for part in _shown(replay(chunks), major)] == [part["type"] for part in _shown(alive, major)]


@settings(deadline=None, max_examples=30)
@given(broken_streams())
def test_clients_of_7_are_sent_the_very_bytes(chunks: list[Chunk]) -> None:
    dialect = Dialect(7)
    for chunk in chunks:
        raw = encode(chunk)
        assert dialect.passthrough(chunk["type"]) and dialect.encode(raw) == [raw]
        assert dialect.translate(chunk) == [chunk]


@pytest.mark.parametrize("major", _MAJORS)
def test_deltas_are_never_looked_into(major: Major) -> None:
    dialect = Dialect(major)
    for kind in ("text-delta", "reasoning-delta", "tool-input-delta"):
        assert dialect.passthrough(kind)
        raw = b'{"type":"%b" not even JSON' % kind.encode()
        assert dialect.encode(raw) == [raw]


def test_a_dead_step_is_closed_piece_by_piece() -> None:
    dead: list[Chunk] = [
        _START,
        {"type": "text-start", "id": "t"},
        {"type": "text-end", "id": "t"},
        {"type": "reasoning-start", "id": "r"},
        {**_CALL, "toolCallId": "open", "dynamic": True},
        {"type": "tool-output-available", "toolCallId": "open", "output": 1, "preliminary": True},
        {**_CALL, "toolCallId": "answered"},
        {"type": "tool-output-available", "toolCallId": "answered", "output": 1},
    ]
    for major in (5, 6, None):
        dialect = Dialect(major)
        for chunk in dead:
            dialect.translate(chunk)
        assert dialect.translate({"type": "reset-step"}) == [
            {"type": "reasoning-end", "id": "r"},
            {"type": "tool-output-error", "toolCallId": "open", "errorText": REDONE, "dynamic": True},
            {"type": "finish-step"},
            {"type": "start-step"},
        ]
        assert dialect.translate({"type": "reset-step"}) == [{"type": "finish-step"}, {"type": "start-step"}]


def test_text_that_is_open_when_a_step_ends_goes_on() -> None:
    """Clients of 5 and 6 forget it at `finish-step`, and its next delta would end their stream."""
    chunks: list[Chunk] = [
        _START,
        {"type": "text-start", "id": "t"},
        {"type": "finish-step"},
        {"type": "text-delta", "id": "t", "delta": "on"},
        {"type": "text-end", "id": "t"},
    ]
    for major in _MAJORS:
        assert _shown(chunks, major)[1] == {"type": "text", "text": "on", "state": "done"}


@pytest.mark.parametrize("major", [5, None])
def test_an_approval_is_told_as_data_before_6(major: Major) -> None:
    answer = {"type": "tool-approval-response", "approvalId": "a", "approved": False, "reason": "too much"}
    sent = _sent([_CALL, _ASK, answer, {"type": "tool-output-denied", "toolCallId": "c"}], major)
    assert sent[1:] == [
        {
            "type": "data-tool-approval-request",
            "id": "a",
            "data": {"toolCallId": "c", "approvalId": "a", "reason": "money"},
        },
        {
            "type": "data-tool-approval-response",
            "id": "a",
            "data": {"approvalId": "a", "approved": False, "reason": "too much"},
        },
        {"type": "tool-output-error", "toolCallId": "c", "errorText": "too much"},
    ]


def test_clients_of_6_are_asked_for_approval_themselves() -> None:
    assert _sent([_CALL, _ASK], 6) == [_CALL, _ASK]
    assert _shown([_CALL, _ASK, {"type": "tool-output-denied", "toolCallId": "c"}], 6)[0]["state"] == "output-denied"


def test_clients_of_6_do_not_ask_again_for_what_was_approved() -> None:
    """A page that is loaded while the approved tool runs is told the whole answer, question included."""
    asked = [_CALL, _ASK, {"type": "tool-approval-response", "approvalId": "a", "approved": True}]
    assert [part["state"] for part in _shown(asked, 6)] == ["input-available"]
    assert [part["state"] for part in _shown([*asked, {**_DONE, "output": 1}], 6)] == ["output-available"]


def test_clients_of_5_find_a_dynamic_call_by_its_flag() -> None:
    """They look only among parts of the kind that the chunk names."""
    called = {**_CALL, "dynamic": True}
    shown = _shown([called, {"type": "tool-output-available", "toolCallId": "c", "output": 1}], 5)
    assert shown[0]["state"] == "output-available"
    shown = _shown([called, {"type": "tool-output-denied", "toolCallId": "c"}], 5)
    assert shown[0]["state"] == "output-error"


def test_clients_of_5_find_a_dynamic_call_of_the_message_that_they_hold() -> None:
    approval = {"id": "a", "approved": False, "reason": "too much"}
    part = {"type": "dynamic-tool", "toolName": "pay", "toolCallId": "c", "state": "input-available", "input": {}}
    for held, end, state, text in (
        (part, {**_DONE, "output": 1}, "output-available", None),
        (part, {"type": "tool-output-denied", "toolCallId": "c"}, "output-error", DENIED),
        ({**part, "approval": approval}, {"type": "tool-output-denied", "toolCallId": "c"}, "output-error", "too much"),
    ):
        sent = Dialect(5, held=[held, {"type": "text", "text": "so"}]).translate(end)
        shown = fold_message(sent, {"id": "m", "role": "assistant", "parts": [held]}, major=5)["parts"][0]
        assert (shown["state"], shown.get("errorText")) == (state, text)


@pytest.mark.parametrize(
    ("chunk", "sent"),
    [
        ({"type": "custom", "kind": "a.b"}, [{"type": "data-custom", "data": {"kind": "a.b"}}]),
        (
            {"type": "steering-message", "id": "m", "parts": []},
            [
                {
                    "type": "data-pending-message-injected",
                    "id": "m",
                    "data": {
                        "messageIds": ["m"],
                        "messages": [{"id": "m", "role": "user", "parts": [], "text": ""}],
                    },
                }
            ],
        ),
        (
            {"type": "reasoning-file", "url": "u", "mediaType": "image/png"},
            [{"type": "file", "url": "u", "mediaType": "image/png"}],
        ),
        ({"type": "finish", "finishReason": "interrupted"}, [{"type": "finish", "finishReason": "other"}]),
        ({"type": "finish"}, [{"type": "finish"}]),
        ({"type": "of-the-future"}, []),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_what_older_clients_do_not_know_is_said_otherwise(chunk: Chunk, sent: list[Chunk]) -> None:
    for major in (5, 6, None):
        assert _sent([chunk], major) == sent


@pytest.mark.parametrize(
    ("chunk", "left_out"),
    [
        ({"type": "abort", "reason": "stopped"}, {"reason"}),
        ({"type": "text-end", "id": "t", "citations": []}, {"citations"}),
        ({"type": "tool-input-start", "toolCallId": "c", "toolName": "w", "title": "T", "providerMetadata": {}},
         {"title", "providerMetadata"}),
        ({**_CALL, "toolMetadata": {}, "providerMetadata": {}}, {"toolMetadata"}),
        ({"type": "tool-output-available", "toolCallId": "c", "output": 1, "providerMetadata": {}},
         {"providerMetadata"}),
        ({"type": "data-x", "data": 1, "extra": 1}, {"extra"}),
        ({"type": "start", "messageId": "m", "extra": 1}, {"extra"}),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)  # fmt: skip
def test_fields_that_early_releases_refuse_are_left_out_where_the_release_is_unknown(
    chunk: Chunk, left_out: set[str]
) -> None:
    assert _sent([chunk], None) == [{name: value for name, value in chunk.items() if name not in left_out}]
    assert _sent([chunk], 5) == _sent([chunk], 6) == [chunk]


def test_trigger_dev_clients_are_told_of_steering_messages_as_data_whatever_their_release() -> None:
    said = [{"type": "text", "text": "be "}, {"type": "text", "text": "brief"}]
    chunk = {"type": "steering-message", "id": "m", "parts": said}
    message = {"id": "m", "role": "user", "parts": said, "text": "be brief"}
    data = {"messageIds": ["m"], "messages": [message]}
    for major in _MAJORS:
        dialect = Dialect(major, steering_as_data=True)
        assert dialect.translate(chunk) == [{"type": "data-pending-message-injected", "id": "m", "data": data}]
        delta = {"type": "text-delta", "id": "t", "delta": "x"}
        assert dialect.encode(encode(delta)) == [encode(delta)]
    assert Dialect(7).translate(chunk) == [chunk]
