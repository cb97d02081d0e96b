"""The messages that a client sends: new ones, and answers to calls that wait for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chatagent.errors import BadRequest, NotFound
from chatagent.ids import new_id
from chatagent.ui.reading import WAITING
from chatagent.ui.tool_part import is_tool

UIMessage = dict[str, Any]
Part = dict[str, Any]
#: What may be sent: text, parts (a string is a text part), or a whole UIMessage of the user.
Content = str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]]


def user_message(content: Content, message_id: str | None = None) -> UIMessage:
    """A message of the user, with an id, so that it can be sent twice and count once. Raises: BadRequest."""
    if isinstance(content, Mapping) and "parts" in content:
        message = dict(content)
    else:
        parts = [content] if isinstance(content, str | Mapping) else list(content)
        message = {"parts": [_part(each) for each in parts]}
    if not message["parts"]:
        raise BadRequest("has no parts", field="message")
    message["id"] = message_id or message.get("id") or new_id()
    return {"id": message["id"], "role": "user", **message}


def answered_call(messages: Sequence[UIMessage], tool_call_id: str, answer: Part) -> tuple[UIMessage, UIMessage]:
    """What to send as the answer to a call, and the message that it makes. Raises: NotFound."""
    return _answered(messages, answer, lambda part: part.get("toolCallId") == tool_call_id, f"call {tool_call_id!r}")


def answered_approval(
    messages: Sequence[UIMessage], approval_id: str, approved: bool, reason: str | None
) -> tuple[UIMessage, UIMessage]:
    """What to send as the answer to an approval, and the message that it makes. Raises: NotFound."""
    given = {"id": approval_id, "approved": approved, **({} if reason is None else {"reason": reason})}
    answer: Part = {"state": "approval-responded", "approval": given}

    def asked(part: Part) -> bool:
        return bool((part.get("approval") or {}).get("id") == approval_id)

    return _answered(messages, answer, asked, f"approval {approval_id!r}")


def _answered(messages: Sequence[UIMessage], answer: Part, asked: Any, what: str) -> tuple[UIMessage, UIMessage]:
    for message in reversed(messages):
        for at, part in enumerate(message.get("parts", ())):
            if is_tool(part) and asked(part) and part.get("state") in WAITING:
                approval = {**(part.get("approval") or {}), **answer.get("approval", {})}
                told = {**part, **answer, **({"approval": approval} if approval else {})}
                parts = [*message["parts"][:at], told, *message["parts"][at + 1 :]]
                return {"id": message["id"], "role": "assistant", "parts": [told]}, {**message, "parts": parts}
    raise NotFound(f"no {what} waits for an answer in this chat")


def _part(given: str | Mapping[str, Any]) -> Part:
    if isinstance(given, str):
        return {"type": "text", "text": given}
    if not isinstance(given, Mapping) or not isinstance(given.get("type"), str):
        raise BadRequest("must be text or an object with a type", field="part")
    return dict(given)
