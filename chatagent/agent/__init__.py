"""What authors write against: agents, their hooks, and the turn."""

from chatagent.agent.agent import Agent, AgentOptions, agent
from chatagent.agent.event import ChatStart, TurnComplete, TurnStart
from chatagent.agent.turn import Turn, current_turn, is_stopped, pipe, response

__all__ = [
    "Agent",
    "AgentOptions",
    "ChatStart",
    "Turn",
    "TurnComplete",
    "TurnStart",
    "agent",
    "current_turn",
    "is_stopped",
    "pipe",
    "response",
]
