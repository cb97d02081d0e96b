"""The author's namespace: `from chatagent import chat`."""

from chatagent.agent import (
    Agent,
    ChatStart,
    Turn,
    TurnComplete,
    TurnStart,
    agent,
    current_turn,
    is_stopped,
    pipe,
    response,
)
from chatagent.ui import cleanup_aborted_parts

__all__ = [
    "Agent",
    "ChatStart",
    "Turn",
    "TurnComplete",
    "TurnStart",
    "agent",
    "cleanup_aborted_parts",
    "current_turn",
    "is_stopped",
    "pipe",
    "response",
]
