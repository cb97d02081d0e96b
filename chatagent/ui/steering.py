"""A user's message that joined a running answer: its marker there, for clients of 7, for others, and for the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Chunk = dict[str, Any]
Part = dict[str, Any]

#: Clients of 7 know this part.
STEERING = "steering-message"
#: Trigger.dev's client knows this one; other clients may show it.
PENDING_INJECTED = "data-pending-message-injected"


def steering_chunk(message: dict[str, Any]) -> Chunk:
    """The marker of a user's UI message. It holds text and files; clients would refuse one with anything else."""
    parts = [part for part in message.get("parts") or () if part.get("type") in ("text", "file")]
    return {"type": STEERING, "id": message["id"], "parts": parts}


def as_data(chunk: Chunk) -> Chunk:
    """The marker for clients before 7: a data part under the message's id; Trigger.dev's client reads its `text`."""
    message_id, parts = chunk.get("id"), chunk.get("parts") or []
    text = "".join(part.get("text", "") for part in parts if part.get("type") == "text")
    message = {"id": message_id, "role": "user", "parts": parts, "text": text}
    return {"type": PENDING_INJECTED, "id": message_id, "data": {"messageIds": [message_id], "messages": [message]}}


def steered_parts(part: Part) -> list[Sequence[Part]]:
    """The parts of each user's message that this part marks; none for parts of other kinds."""
    match part["type"]:
        case "steering-message":
            return [part.get("parts") or ()]
        case "data-pending-message-injected" if isinstance(part.get("data"), dict):
            return [message.get("parts") or () for message in part["data"].get("messages") or ()]
    return []
