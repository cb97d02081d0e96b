"""Finds the answer of a response in the history. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chatagent.errors import NotFound
from chatagent.flask.openai.response_id import Place
from chatagent.ui import message_to_chunks

UIMessage = dict[str, Any]


def told_answer(messages: Sequence[UIMessage], place: Place) -> list[dict[str, Any]]:
    """The chunks of an answer that has ended; none when nothing was said. Raises: NotFound when it was edited away."""
    at = find_message(messages, place.message_id)
    if at is None:
        raise NotFound("this response is no longer part of its chat")
    if place.parts >= 0:
        return message_to_chunks({**messages[at], "parts": messages[at]["parts"][place.parts :]})
    if at + 1 < len(messages) and messages[at + 1]["role"] == "assistant":
        return message_to_chunks(messages[at + 1])
    return []


def previous_messages(messages: Sequence[UIMessage], place: Place) -> list[UIMessage] | None:
    """The chat up to the end of an answer; None while that answer is not stored."""
    at = find_message(messages, place.message_id)
    if at is None:
        return None
    answered = messages[at]["role"] == "assistant"
    if not answered and at + 1 < len(messages) and messages[at + 1]["role"] == "assistant":
        at += 1
    return list(messages[: at + 1])


def find_message(messages: Sequence[UIMessage], message_id: str) -> int | None:
    """Where a message stands."""
    return next((at for at, message in enumerate(messages) if message.get("id") == message_id), None)
