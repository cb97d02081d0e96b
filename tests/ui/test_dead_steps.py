from __future__ import annotations

from typing import Any

from chatagent.ui import fold_message, replay

Chunk = dict[str, Any]

START: Chunk = {"type": "start", "messageId": "m"}


def text(part_id: str, words: str) -> list[Chunk]:
    return [
        {"type": "text-start", "id": part_id},
        {"type": "text-delta", "id": part_id, "delta": words},
        {"type": "text-end", "id": part_id},
    ]


def check(log: list[Chunk]) -> None:
    """What is left makes the same message, for clients that know `reset-step` and for those that do not."""
    left = replay(log)
    assert all(chunk["type"] != "reset-step" for chunk in left)
    assert fold_message(left, major=7) == fold_message(log, major=7)
    assert fold_message(left, major=6) == fold_message(left, major=7)


def test_the_parts_of_a_dead_step_go_and_those_before_stay() -> None:
    step: Chunk = {"type": "start-step"}
    check([START, step, *text("a", "kept"), {"type": "finish-step"}, step, *text("b", "dead"), {"type": "reset-step"}])
    check([START, step, *text("b", "dead")[:2], {"type": "reset-step"}, *text("c", "alive"), {"type": "finish-step"}])


def test_two_deaths_in_one_step() -> None:
    dead: list[Chunk] = [*text("a", "dead")[:2], {"type": "reset-step"}, *text("b", "dead too"), {"type": "reset-step"}]
    check([START, {"type": "start-step"}, *dead, *text("c", "alive")])


def test_a_death_before_any_step() -> None:
    check([START, {"type": "data-note", "data": 1}, {"type": "reset-step"}, {"type": "data-note", "data": 2}])


def test_what_a_dead_step_did_to_earlier_parts_stays() -> None:
    call: Chunk = {"type": "tool-input-available", "toolCallId": "c", "toolName": "w", "input": {}}
    progress: Chunk = {"type": "data-progress", "id": "p", "data": 1}
    check(
        [
            START,
            {"type": "start-step"},
            call,
            progress,
            {"type": "finish-step"},
            {"type": "start-step"},
            {"type": "tool-output-available", "toolCallId": "c", "output": 1},
            {**progress, "data": 2},
            {"type": "data-progress", "id": "new", "data": 3},
            {"type": "message-metadata", "messageMetadata": {"k": 1}},
            {**call, "toolCallId": "d"},
            {"type": "tool-output-available", "toolCallId": "d", "output": 1},
            {"type": "reset-step"},
            *text("a", "alive"),
        ]
    )
