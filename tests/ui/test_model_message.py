"""What a model is told of a conversation, beside what the goldens show."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from chatagent.errors import BadRequest
from chatagent.ui import Dialect, fold_message, message_to_chunks, model_output, to_model_messages

UIMessage = dict[str, Any]


def _user(*parts: dict[str, Any]) -> UIMessage:
    return {"id": "u", "role": "user", "parts": list(parts)}


def _assistant(*parts: dict[str, Any]) -> UIMessage:
    return {"id": "a", "role": "assistant", "parts": list(parts)}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _call(state: str, **fields: Any) -> dict[str, Any]:
    return {"type": "tool-w", "toolCallId": "c", "state": state, "input": {}, **fields}


_TOLD_CALL = {"id": "c", "type": "function", "function": {"name": "w", "arguments": "{}"}}


@pytest.mark.parametrize(
    "part",
    [
        _call("input-streaming"),
        _call("input-available"),
        _call("approval-requested", approval={"id": "ap"}),
        _call("approval-responded", approval={"id": "ap", "approved": True}),
    ],
    ids=lambda part: part["state"],
)
def test_no_call_is_told_without_its_result(part: dict[str, Any]) -> None:
    told = to_model_messages([_user(_text("q")), _assistant(_text("hm"), part), _user(_text("go on"))])
    assert [message["role"] for message in told] == ["user", "assistant", "user"]
    assert all("tool_calls" not in message for message in told)


def test_a_call_that_is_about_to_be_executed_is_told() -> None:
    part = _call("approval-responded", approval={"id": "ap", "approved": True})
    told = to_model_messages([_user(_text("q")), _assistant(part)], keep_tool_calls=["c"])
    assert told[-1] == {"role": "assistant", "content": None, "tool_calls": [_TOLD_CALL]}


def test_an_approval_that_was_never_given_is_forgotten_when_the_user_goes_on() -> None:
    """The provider would have executed this one itself, so it is told although it has no result."""
    part = _call("approval-requested", approval={"id": "ap"}, providerExecuted=True)
    assert to_model_messages([_user(_text("q")), _assistant(part)])[-1]["tool_calls"] == [_TOLD_CALL]
    assert len(to_model_messages([_user(_text("q")), _assistant(part), _user(_text("go on"))])) == 2


def test_a_denied_call_is_told_with_its_reason() -> None:
    denied = {"id": "ap", "approved": False}
    for part in (_call("approval-responded", approval=denied), _call("output-denied", approval=denied)):
        assert to_model_messages([_assistant(part)])[-1]["content"] == "Tool call execution denied."
        part["approval"] = {**denied, "reason": "too dear"}
        assert to_model_messages([_assistant(part)])[-1]["content"] == "too dear"


def test_who_says_nothing_is_not_told() -> None:
    assert to_model_messages([_user(), _user(_text("")), _user({"type": "data-x", "data": 1}), _assistant()]) == []


def test_a_tool_chooses_what_the_model_sees() -> None:
    part = _call("output-available", output={"rows": [1, 2, 3]})
    told = to_model_messages([_assistant(part)], tool_outputs={"w": lambda output: f"{len(output['rows'])} rows"})
    assert told[-1]["content"] == "3 rows"
    image = [{"type": "image_url", "image_url": {"url": "https://x.example/y.png"}}]
    told = to_model_messages([_assistant(part)], tool_outputs={"w": lambda output: image})
    assert told[-1]["content"] == image


def test_an_output_that_looks_like_content_is_json_unless_somebody_chose_it() -> None:
    output = [{"type": "text", "text": "x"}]
    assert model_output(output) == '[{"type":"text","text":"x"}]'
    assert model_output(output, content=True) == output
    assert model_output([], content=True) == "[]"


@pytest.mark.parametrize(
    ("output", "content"), [("text", "text"), (None, "null"), ({"é": [1, None]}, '{"é":[1,null]}'), (1.5, "1.5")]
)
def test_outputs_are_text_or_json(output: Any, content: str) -> None:
    assert model_output(output) == content


def test_half_a_character_does_not_reach_the_provider() -> None:
    half = "cut \ud83d"
    told = to_model_messages(
        [
            _user(_text(half)),
            _assistant(_text(half), _call("output-available", output=half)),
            _user(_text("\ud83d\ude00")),
        ]
    )
    assert [message["content"] for message in told] == ["cut \ufffd", "cut \ufffd", "cut \ufffd", "😀"]


def test_an_unfinished_output_can_be_left_out() -> None:
    part = _call("output-available", output=1, preliminary=True)
    assert len(to_model_messages([_assistant(part)])) == 2
    assert to_model_messages([_assistant(part)], ignore_incomplete_tool_calls=True) == []


def test_data_parts_are_told_when_somebody_says_how() -> None:
    parts: list[dict[str, Any]] = [{"type": "data-place", "data": "Paris"}, {"type": "data-noise", "data": 1}]

    def place(part: dict[str, Any]) -> dict[str, Any] | None:
        return _text(f"I am in {part['data']}") if part["type"] == "data-place" else None

    assert to_model_messages([_user(*parts)], convert_data_part=place) == [{"role": "user", "content": "I am in Paris"}]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (
            {"mediaType": "image/*", "url": "data:image/*;base64,iVBORw0KGgo="},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        ),
        (
            {"mediaType": "image/png", "url": "https://X.example/a b.png"},
            {"type": "image_url", "image_url": {"url": "https://x.example/a%20b.png"}},
        ),
        (
            {"mediaType": "application/pdf", "url": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
        ),
        (
            {"mediaType": "audio/wav", "url": "data:audio/wav;base64,UklGRg=="},
            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        ),
        ({"mediaType": "text/plain", "url": "data:text/plain,h%C3%A9"}, {"type": "text", "text": "hé"}),
        (
            {"mediaType": "a/b", "url": "x", "providerReference": {"openai": "f1"}},
            {"type": "file", "file": {"file_id": "f1"}},
        ),
    ],
    ids=["image data", "image address", "pdf", "audio", "text", "reference"],
)
def test_files_are_told_in_the_models_forms(file: dict[str, Any], content: dict[str, Any]) -> None:
    assert to_model_messages([_user({"type": "file", **file})]) == [{"role": "user", "content": [content]}]


@pytest.mark.parametrize(
    "file",
    [
        {"mediaType": "application/zip", "url": "data:application/zip;base64,UEs="},
        {"mediaType": "application/pdf", "url": "https://x.example/y.pdf"},
        {"mediaType": "image/png", "url": "/uploads/y.png"},
        {"mediaType": "image/png", "url": "data:image/png;base64"},
        {"mediaType": "text/plain", "url": "data:text/plain;base64,a"},
    ],
    ids=lambda file: file["url"][:30],
)
def test_a_file_that_no_model_takes_is_refused(file: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        to_model_messages([_user({"type": "file", **file})])


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(BadRequest, match="'tool'"):
        to_model_messages([{"id": "t", "role": "tool", "parts": []}])


_STEERED = {"type": "steering-message", "id": "s", "parts": [_text("be brief")]}


def _shown_by(major: Literal[5, 6, 7], *parts: dict[str, Any]) -> UIMessage:
    """The message with these parts as a client of this generation holds it."""
    dialect = Dialect(major, steering_as_data=True)
    sent = [each for chunk in message_to_chunks(_assistant(*parts)) for each in dialect.translate(chunk)]
    return fold_message(sent, major=major)


def test_a_steering_message_stands_between_the_steps_that_it_came_between() -> None:
    parts = (_text("one"), _call("output-available", output=1), _STEERED, {"type": "step-start"}, _text("two"))
    told = to_model_messages([_user(_text("q")), _assistant(*parts)])
    assert [message["role"] for message in told] == ["user", "assistant", "tool", "user", "assistant"]
    assert told[3] == {"role": "user", "content": "be brief"}


@pytest.mark.parametrize("major", [5, 6, 7])
def test_a_model_is_told_the_same_of_what_older_clients_hold(major: Literal[5, 6, 7]) -> None:
    parts = ({"type": "step-start"}, _text("one"), _STEERED, {"type": "step-start"}, _text("two"))
    held = _shown_by(major, *parts)
    assert [part["type"] for part in held["parts"]][2] == "data-pending-message-injected"
    assert to_model_messages([held]) == to_model_messages([_assistant(*parts)])


def test_a_data_part_of_that_name_without_messages_is_passed_over() -> None:
    odd = {"type": "data-pending-message-injected", "data": "x"}
    assert to_model_messages([_assistant(odd, _text("one"))]) == [{"role": "assistant", "content": "one"}]


def test_a_steering_message_with_a_file_that_no_model_takes_fails_no_later_turn() -> None:
    archive = {"type": "file", "mediaType": "application/zip", "url": "data:application/zip;base64,AAAA"}
    messages = [_assistant({**_STEERED, "parts": [archive]}), _user(_text("q"))]
    with pytest.raises(BadRequest):
        to_model_messages(messages)
    told = to_model_messages(messages, omit_old_files=True)
    assert "left out" in str(told[0]["content"])
