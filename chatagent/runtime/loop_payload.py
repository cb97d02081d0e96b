"""What a custom loop is told of a turn."""

from __future__ import annotations

from typing import Any

from chatagent.agent import Turn
from chatagent.agent.event import UIMessage
from chatagent.agent.loop import ChatTaskPayload
from chatagent.record import InRecord
from chatagent.runtime.port import Claim


def opening(turn: Turn[Any], claim: Claim, action: Any, *, whole: bool) -> ChatTaskPayload:
    """The payload that opens a turn; with `whole` its `messages` are the whole conversation."""
    ui_messages = turn.ui_messages
    record = claim.record
    message = _claimed(ui_messages, record) if record.kind == "message" else None
    if record.kind == "preload":
        messages = []
    elif whole or turn.trigger == "regenerate-message":
        messages = list(ui_messages)
    else:
        messages = [] if message is None else [message]
    return ChatTaskPayload(
        **_of(turn),
        trigger=record.trigger if record.kind == "message" else record.kind,
        message=message,
        messages=messages,
        history=[each for each in ui_messages if each is not message],
        message_id=turn.message_id,
        metadata=turn.metadata,
        body=turn.body,
        action=action,
        # A function that is called anew in a run that goes on has lost its variables, too.
        continuation=turn.continuation or (whole and turn.number > 0),
        previous_run_id=turn.previous_run_id,
    )


def joined(turn: Turn[Any], record: InRecord) -> ChatTaskPayload:
    """The payload of a message that joins the open turn."""
    message = record.payload.get("message")
    return ChatTaskPayload(
        **_of(turn),
        trigger=record.trigger,
        message=message,
        messages=[] if message is None else [message],
        history=turn.ui_messages,
        message_id=record.payload.get("messageId"),
        metadata=record.payload.get("metadata"),
        body=record.payload.get("body") or {},
    )


def _of(turn: Turn[Any]) -> dict[str, Any]:
    return {
        "chat_id": turn.chat_id,
        "session_id": turn.session_id,
        "run_id": turn.run_id,
        "turn": turn.number,
        "client_data": turn.client_data,
    }


def _claimed(ui_messages: list[UIMessage], record: InRecord) -> UIMessage | None:
    """The message of the record as it stands in the conversation; a dead attempt's answer may follow it."""
    sent = record.payload.get("message")
    if not isinstance(sent, dict):
        return None
    for message in reversed(ui_messages):
        if sent.get("id") is not None and message.get("id") == sent["id"]:
            return message
    return ui_messages[-1] if ui_messages else None
