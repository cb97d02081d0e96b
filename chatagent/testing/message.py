"""Messages that a test sends for a user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chatagent.ids import new_id
from chatagent.ui.reading import WAITING, ToolCall
from chatagent.ui.tool_part import is_tool, tool_name

UIMessage = dict[str, Any]
#: What may be sent: text, parts (text stands for a text part), or a whole UIMessage of the user.
Content = str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]]


def user_message(content: Content, message_id: str | None = None) -> UIMessage:
    """A message of the user."""
    if isinstance(content, Mapping) and "parts" in content:
        return {"id": message_id or new_id(), "role": "user", **content}
    parts = [content] if isinstance(content, str | Mapping) else list(content)
    told = [{"type": "text", "text": part} if isinstance(part, str) else dict(part) for part in parts]
    return {"id": message_id or new_id(), "role": "user", "parts": told}


def answered(history: Sequence[UIMessage], call: ToolCall | str | None, told: Mapping[str, Any]) -> UIMessage:
    """What a client sends to answer a waiting call: the one named by id, approval or tool, or the only one.

    Raises: LookupError when there is not exactly one.
    """
    wanted = call.id if isinstance(call, ToolCall) else call
    waiting = list(_waiting(history))
    found = [(message, part) for message, part in waiting if wanted is None or wanted in _names(part)]
    if len(found) != 1:
        known = ", ".join(f"{tool_name(part)} ({part['toolCallId']})" for _, part in waiting)
        if not known:
            raise LookupError("no call of the conversation waits for an answer")
        fit = "several calls wait, name one" if wanted is None else f"{len(found)} calls fit {wanted!r}"
        raise LookupError(f"{fit}; these wait for an answer: {known}")
    message, part = found[0]
    answer = dict(told)
    if "approval" in answer:
        answer["approval"] = {**(part.get("approval") or {}), **answer["approval"]}
    return {"id": message["id"], "role": "assistant", "parts": [{**part, **answer}]}


def _waiting(history: Sequence[UIMessage]) -> Iterator[tuple[UIMessage, dict[str, Any]]]:
    for message in history:
        for part in message["parts"]:
            if is_tool(part) and part.get("state") in WAITING:
                yield message, part


def _names(part: Mapping[str, Any]) -> tuple[Any, ...]:
    return part["toolCallId"], tool_name(dict(part)), (part.get("approval") or {}).get("id")
