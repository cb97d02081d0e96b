"""What the published Trigger.dev client appends to a chat's inbox, as a send. Source: its `ChatInputChunk`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from chatagent.errors import BadRequest
from chatagent.flask.message import Send, optional_id, read_busy, read_message

_TRIGGERS = ("submit-message", "regenerate-message", "action")
#: Fields of a payload that the client or its server sets; all others reach the agent as the request's body.
_RESERVED = frozenset(
    {
        *("chatId", "trigger", "message", "messages", "messageId", "metadata", "action", "headStartMessages", "busy"),
        *("continuation", "previousRunId", "sessionId", "idleTimeoutInSeconds", "actionSource"),
    }
)
#: How the client's hook for messages that wait marks those that it sends while an answer is written.
_MODE = "_mode"
#: Ids of the messages of `AgentChat.steer`.
_STEERED = re.compile(r"steer-\d{13}")


def read_payload(chat_id: str, payload: Mapping[str, Any], part: str | None) -> Send:
    """Read the payload of a `message` record. Raises: BadRequest."""
    trigger = payload.get("trigger", _TRIGGERS[0])
    if trigger not in _TRIGGERS:
        raise BadRequest(f"must be one of {', '.join(_TRIGGERS)}", field="payload.trigger")
    busy = read_busy(payload.get("busy"))
    read: dict[str, Any] = {}
    if trigger == "action":
        if payload.get("action") is None:
            raise BadRequest("is missing: what the agent's action is to be", field="payload.action")
        read["action"] = payload["action"]
    else:
        read["trigger"] = trigger
    if trigger == "submit-message":
        message = read_message(payload.get("message"), "payload.message")
        if _MODE in message or _STEERED.fullmatch(str(message.get("id"))):
            # Only the hook that shows what waits, and `AgentChat.steer`, send so.
            busy = busy or "steer"
            message = {name: value for name, value in message.items() if name != _MODE}
        read["message"] = message
    further = {name: value for name, value in payload.items() if name not in _RESERVED}
    message_id = optional_id(payload, "messageId", "payload")
    for name, value in (("messageId", message_id), ("metadata", payload.get("metadata")), ("body", further or None)):
        if value is not None:
            read[name] = value
    return Send(chat_id, None, read, part, busy=busy, kind="action" if trigger == "action" else "message")
