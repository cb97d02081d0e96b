"""What `on_action` may return."""

from __future__ import annotations

from dataclasses import dataclass

from chatagent.agent.event import UIMessage
from chatagent.ids import new_id


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """Answer the chat as the action left it, after `message` if there is one."""

    message: UIMessage | None = None


def turn(message: UIMessage | str | None = None) -> TurnRequest:
    """Ask for a turn on the edited conversation: `return chat.turn()` from `on_action`."""
    if isinstance(message, str):
        message = {"id": new_id("msg_"), "role": "user", "parts": [{"type": "text", "text": message}]}
    return TurnRequest(message)
