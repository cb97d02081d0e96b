"""What a message does to a conversation: append, edit, regenerate, or answer a pending tool call. Pure.

The server's history is the truth: of what a client sends only the new message, its trigger, the message id and the
answers to pending tool calls are read (AI SDK reference §4.3, §4.7).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from chatagent.errors import BadRequest
from chatagent.ids import new_id
from chatagent.record import InRecord

UIMessage = dict[str, Any]

#: What a client may turn a waiting part into.
_ANSWERS = {
    "input-available": ("output-available", "output-error"),
    "approval-requested": ("approval-responded",),
}


@dataclass(frozen=True, slots=True)
class Applied:
    """A conversation after a message, before its answer.

    `response` is the assistant message among `messages` that the answer continues, else None: the one whose call was
    answered, which is not the last when the user has gone on without answering. `answered` is False when the message
    asked for nothing new, so no turn of the agent is owed.
    """

    messages: list[UIMessage]
    response: UIMessage | None = None
    answered: bool = True


@dataclass(frozen=True, slots=True)
class Changes:
    """How a stored list of messages becomes another: truncate to `keep` (-1: no), replace, append.

    `last` is the newest message of the other, changed or not.
    """

    keep: int
    replaced: list[tuple[int, UIMessage]]
    appended: list[UIMessage]
    last: UIMessage | None = None


def apply(messages: Sequence[UIMessage], record: InRecord) -> Applied:
    """The conversation after `record`. Messages are never changed in place: a changed one is a new dict."""
    if record.kind != "message":
        return Applied(list(messages), answered=False)
    if not messages and record.handover is not None:
        messages = record.handover.history
    message = record.payload.get("message")
    target = record.payload.get("messageId")
    if record.trigger == "regenerate-message":
        return Applied(_before_answer(messages, target))
    if message is None:
        return Applied(list(messages))
    if message.get("role") == "assistant":
        return _answer_calls(messages, message)
    return Applied(_submit(messages, message, target))


def view(messages: Sequence[UIMessage], unread: Iterable[InRecord]) -> list[UIMessage]:
    """What a reader should see: the committed messages and those still on their way."""
    seen = list(messages)
    for record in unread:
        seen = apply(seen, record).messages
    return seen


def page(messages: Sequence[UIMessage], limit: int, before: str | None = None) -> tuple[list[UIMessage], str | None]:
    """The newest `limit` messages before the one with the id `before`, oldest first, and the `before` of the next page.

    None says that there is no next page. Raises: BadRequest for an id that is not there.
    """
    end = len(messages) if before is None else _index(messages, before)
    if end is None:
        raise BadRequest("there is no such message", field="before")
    start = max(0, end - limit)
    return list(messages[start:end]), str(messages[start].get("id")) if start else None


def changes(old: Sequence[UIMessage], new: Sequence[UIMessage]) -> Changes:
    """The smallest edit from `old` to `new`; unchanged messages are mostly the same objects."""
    common = min(len(old), len(new))
    return Changes(
        keep=len(new) if len(new) < len(old) else -1,
        replaced=[(at, new[at]) for at in range(common) if new[at] is not old[at] and new[at] != old[at]],
        appended=list(new[common:]),
        last=new[-1] if new else None,
    )


def steered_ids(message: UIMessage) -> set[str]:
    """The user messages that were steered into an answer."""
    return {str(part.get("id")) for part in message.get("parts", ()) if part.get("type") == "steering-message"}


def _submit(messages: Sequence[UIMessage], message: UIMessage, target: str | None) -> list[UIMessage]:
    """Append a user message; one whose id is known replaces that message and all that follows."""
    fresh = {**message, "id": message.get("id") or new_id()}
    for edited in (target, fresh["id"]):
        at = _index(messages, edited)
        if at is not None:
            return [*messages[:at], fresh]
    return [*messages, fresh]


def _before_answer(messages: Sequence[UIMessage], target: str | None) -> list[UIMessage]:
    """Cut so that the conversation ends with the user message to answer again."""
    at = _index(messages, target)
    end = len(messages)
    if at is not None:
        end = at + 1 if messages[at].get("role") == "user" else at
    while end and messages[end - 1].get("role") == "assistant":
        end -= 1
    return list(messages[:end])


def _answer_calls(messages: Sequence[UIMessage], sent: UIMessage) -> Applied:
    """Overlay the client's tool results and approvals on the pending calls, by tool call id."""
    answers = {part["toolCallId"]: part for part in sent.get("parts", ()) if part.get("toolCallId")}
    updated: list[UIMessage] = []
    response: UIMessage | None = None
    for message in messages:
        parts = [_overlay(part, answers.get(part.get("toolCallId"))) for part in message.get("parts", ())]
        if any(new is not old for new, old in zip(parts, message.get("parts", ()), strict=True)):
            message = response = {**message, "parts": parts}
        updated.append(message)
    if response is not None:
        return Applied(updated, response=response)
    at = _index(updated, sent.get("id"))
    last = updated[-1 if at is None else at] if updated else {}
    return Applied(updated, response=last if last.get("role") == "assistant" else None, answered=False)


def through(messages: Sequence[UIMessage], message_id: str | None) -> list[UIMessage]:
    """The conversation up to a message; all of it when the message is not there."""
    at = _index(messages, message_id)
    return list(messages if at is None else messages[: at + 1])


def with_answer(messages: Sequence[UIMessage], answer: UIMessage) -> list[UIMessage]:
    """The conversation with an answer in the place of the message with its id, else at the end."""
    at = _index(messages, answer["id"])
    return [*messages, answer] if at is None else [*messages[:at], answer, *messages[at + 1 :]]


def _overlay(part: dict[str, Any], answer: dict[str, Any] | None) -> dict[str, Any]:
    if answer is None or answer.get("state") not in _ANSWERS.get(part.get("state", ""), ()):
        return part
    if answer["state"] == "approval-responded":
        return _approve(part, answer.get("approval") or {})
    known = {"output": answer["output"]} if "output" in answer and answer["state"] == "output-available" else {}
    if answer["state"] == "output-error":
        known = {"errorText": str(answer.get("errorText", ""))}
    return {**part, "state": answer["state"], **known}


def _approve(part: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    asked = part.get("approval") or {}
    if given.get("id") != asked.get("id") or not isinstance(given.get("approved"), bool):
        return part
    reason = {"reason": given["reason"]} if isinstance(given.get("reason"), str) else {}
    return {
        **part,
        "state": "approval-responded",
        "approval": {**asked, "approved": given["approved"], **reason},
    }


def _index(messages: Sequence[UIMessage], message_id: str | None) -> int | None:
    for at in range(len(messages) - 1, -1, -1):
        if message_id is not None and messages[at].get("id") == message_id:
            return at
    return None
