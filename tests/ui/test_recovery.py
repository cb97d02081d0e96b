"""What is left of an answer whose worker died."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chatagent.ui import Fold, fold_message, recover
from tests.ui.streams import streams

Chunk = dict[str, Any]

_TEXT: list[Chunk] = [
    {"type": "text-start", "id": "t"},
    {"type": "text-delta", "id": "t", "delta": "half"},
]
_CALL: list[Chunk] = [
    {"type": "tool-input-start", "toolCallId": "c1", "toolName": "wait"},
    {"type": "tool-input-delta", "toolCallId": "c1", "inputTextDelta": "{}"},
    {"type": "tool-input-available", "toolCallId": "c1", "toolName": "wait", "input": {}},
]
_OUTPUT: Chunk = {"type": "tool-output-available", "toolCallId": "c1", "output": 1}


def _folded(chunks: list[Chunk], initial: Chunk | None = None) -> Chunk:
    fold = Fold(initial)
    for chunk in chunks:
        fold.add(chunk)
    return fold.message


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_readers_of_the_dead_attempts_are_taken_to_what_is_kept(data: st.DataObject) -> None:
    initial = fold_message(data.draw(streams())) if data.draw(st.booleans()) else None
    before = copy.deepcopy(initial)
    log: list[Chunk] = []
    for _ in range(data.draw(st.integers(1, 3))):
        attempt = _attempt(data, log, initial)
        log += attempt[: data.draw(st.integers(0 if log else 1, len(attempt)))]
        kept = recover(log, initial)
        assert _folded(log + kept.chunks, initial) == kept.message
        assert kept.reset == any(chunk["type"] == "reset-step" for chunk in kept.chunks)
        states = [part.get("state") for part in kept.message["parts"]]
        assert not {"streaming", "input-streaming"} & set(states[len(before["parts"]) if before else 0 :])
        log += copy.deepcopy(kept.chunks)
    rest = _attempt(data, log, initial)
    assert _folded(log + rest, initial) == _folded(rest, kept.message)
    assert initial == before


def _attempt(data: st.DataObject, log: list[Chunk], initial: Chunk | None) -> list[Chunk]:
    """A new attempt at the rest, whose first model call goes on inside an open step."""
    chunks: list[Chunk] = data.draw(streams())[:-1]
    if not log:
        return chunks
    fresh = {f"{kind}{number}": f"{kind}{number}-{len(log)}" for kind in "tca" for number in range(400)}
    renamed = [{name: fresh.get(str(value), value) for name, value in chunk.items()} for chunk in chunks[1:]]
    inside = recover(log, initial).open_step
    return renamed[1:] if inside and renamed[:1] == [{"type": "start-step"}] else renamed


def test_finished_steps_stay_and_a_broken_text_goes() -> None:
    done: list[Chunk] = [{"type": "start-step"}, *_TEXT, {"type": "text-end", "id": "t"}, {"type": "finish-step"}]
    kept = recover([{"type": "start", "messageId": "m"}, *done, {"type": "start-step"}, *_TEXT])
    assert kept.message["parts"] == [
        {"type": "step-start"},
        {"type": "text", "text": "half", "state": "done"},
        {"type": "step-start"},
    ]
    assert kept.chunks == [{"type": "reset-step"}] and kept.reset and kept.open_step


def test_a_decided_call_is_pending_and_its_step_goes_on() -> None:
    kept = recover([{"type": "start-step"}, *_CALL])
    assert (kept.reset, kept.open_step, kept.chunks) == (False, True, [])
    assert [part["toolCallId"] for part in kept.pending] == ["c1"]


def test_a_step_is_redone_while_another_call_of_it_was_still_streaming() -> None:
    """The model had more to say: with one call alone the conversation would be another."""
    second = {"type": "tool-input-start", "toolCallId": "c2", "toolName": "wait"}
    kept = recover([{"type": "start-step"}, *_CALL, second])
    assert kept.message["parts"] == [{"type": "step-start"}]
    assert kept.chunks == [{"type": "reset-step"}]


def test_an_answered_call_is_kept_even_then() -> None:
    """It must not run twice: the rest of the step is dropped, and what was dropped too much is told again."""
    second = {"type": "tool-input-start", "toolCallId": "c2", "toolName": "wait"}
    kept = recover([{"type": "start-step"}, *_CALL, _OUTPUT, second])
    assert [part.get("toolCallId") for part in kept.message["parts"]] == [None, "c1"]
    assert [chunk["type"] for chunk in kept.chunks] == ["reset-step", "tool-input-available", "tool-output-available"]


def test_a_call_that_died_between_preliminary_outputs_waits_again() -> None:
    kept = recover([{"type": "start-step"}, *_CALL, {**_OUTPUT, "preliminary": True}])
    assert [part["state"] for part in kept.pending] == ["input-available"]
    assert "output" not in kept.pending[0] and not kept.reset


def test_text_outside_of_steps_is_taken_back_without_the_step_before_it() -> None:
    step: list[Chunk] = [{"type": "start-step"}, *_CALL, _OUTPUT, {"type": "finish-step"}]
    kept = recover([*step, *_TEXT])
    assert kept.message["parts"] == fold_message(step)["parts"]
    assert kept.chunks[0] == {"type": "reset-step"} and kept.chunks[-1] == {"type": "finish-step"}


def test_what_came_after_a_reset_is_broken_too() -> None:
    step: list[Chunk] = [{"type": "start-step"}, *_TEXT, {"type": "text-end", "id": "t"}, {"type": "finish-step"}]
    kept = recover([*step, *_TEXT, {"type": "reset-step"}, *_TEXT])
    assert kept.message["parts"] == [{"type": "step-start"}]


def test_what_was_continued_is_never_taken_back() -> None:
    initial = fold_message([{"type": "start", "messageId": "m"}, {"type": "start-step"}, *_CALL])
    kept = recover([{"type": "start", "messageId": "m"}, _OUTPUT, {"type": "start-step"}, *_TEXT], initial)
    assert [part.get("state") for part in kept.message["parts"]] == [None, "output-available", None]
