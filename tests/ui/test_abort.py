"""An answer that ended early."""

from __future__ import annotations

from typing import Any

from chatagent.ui import cleanup_aborted_parts


def test_half_calls_go_and_text_is_closed() -> None:
    call = {"type": "tool-w", "toolCallId": "c", "state": "input-available", "input": {}}
    message: dict[str, Any] = {
        "id": "m",
        "role": "assistant",
        "parts": [
            {"type": "step-start"},
            {"type": "text", "text": "half", "state": "streaming"},
            {"type": "reasoning", "id": "r", "text": "hm", "state": "streaming"},
            {"type": "tool-w", "toolCallId": "c0", "state": "input-streaming"},
            {"type": "dynamic-tool", "toolName": "w", "toolCallId": "c1", "state": "input-streaming"},
            call,
        ],
    }
    assert cleanup_aborted_parts(message)["parts"] == [
        {"type": "step-start"},
        {"type": "text", "text": "half", "state": "done"},
        {"type": "reasoning", "id": "r", "text": "hm", "state": "done"},
        call,
    ]
    assert message["parts"][1]["state"] == "streaming", "the message itself is left alone"
