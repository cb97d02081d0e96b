"""Stored messages as older clients understand them: what `Dialect` does to the stream, for what is already there."""

from __future__ import annotations

from typing import Any, Literal

from chatagent.ui.dialect import Dialect
from chatagent.ui.fold import fold_message
from chatagent.ui.replay import parts_to_chunks
from chatagent.ui.tool_part import Part, is_tool

UIMessage = dict[str, Any]

#: Parts that no client before 7 knows.
_NEW = ("custom", "reasoning-file", "steering-message")


def translate_message(message: UIMessage, major: Literal[5, 6, 7]) -> UIMessage:
    """`message` in parts that clients of this generation know: `validateUIMessages` takes it, and a page of theirs that
    loads it shows what it would have been streamed. The very message where nothing is to change."""
    parts = message.get("parts") or ()
    if message.get("role") != "assistant" or all(_is_known(part, major) for part in parts):
        return message
    told = [each for part in parts for each in ([part] if _is_known(part, major) else _translate(part, major))]
    return {**message, "parts": told}


def _is_known(part: Part, major: int) -> bool:
    if major < 7 and part.get("type") in _NEW:
        return False
    return major > 5 or not is_tool(part) or not (part.get("approval") or part.get("state") == "output-denied")


def _translate(part: Part, major: Literal[5, 6, 7]) -> list[Part]:
    dialect = Dialect(major)
    chunks = [each for chunk in parts_to_chunks([part]) for each in dialect.translate(chunk)]
    told: list[Part] = fold_message(chunks, major=major)["parts"]
    return told
