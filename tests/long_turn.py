"""A turn with everything in it, for clients that are cut off after each of its records."""

from __future__ import annotations

from typing import Any

#: Chunks of an answer none of which can be merged with its neighbour; with its start and its finish it is 40.
FORTY: list[dict[str, Any]] = [
    {"type": "start-step"},
    {"type": "reasoning-start", "id": "r"},
    {"type": "reasoning-delta", "id": "r", "delta": "hm"},
    {"type": "reasoning-end", "id": "r"},
    {"type": "tool-input-start", "toolCallId": "c", "toolName": "look"},
    {"type": "tool-input-delta", "toolCallId": "c", "inputTextDelta": '{"at":"it"}'},
    {"type": "tool-input-available", "toolCallId": "c", "toolName": "look", "input": {"at": "it"}},
    {"type": "data-progress", "id": "p", "data": 1},
    {"type": "tool-output-available", "toolCallId": "c", "output": {"seen": True}},
    {"type": "data-progress", "id": "p", "data": 2},
    {"type": "source-url", "sourceId": "s", "url": "https://example.org/", "title": "A source"},
    {"type": "message-metadata", "messageMetadata": {"usage": 1}},
    {"type": "finish-step"},
    {"type": "start-step"},
    {"type": "text-start", "id": "a"},
    {"type": "text-start", "id": "b"},
    *[{"type": "text-delta", "id": "ab"[at % 2], "delta": f"w{at} "} for at in range(19)],
    {"type": "text-end", "id": "a"},
    {"type": "text-end", "id": "b"},
    {"type": "finish-step"},
]
