"""What authors write against: agents, their hooks, and the turn that they answer. All names are in `chatagent.chat`."""

from chatagent.agent.agent import Agent
from chatagent.agent.event import Compacted, Recovery, RunContext
from chatagent.agent.loop import CustomAgent
from chatagent.agent.turn import Turn

__all__ = [
    "Agent",
    "Compacted",
    "CustomAgent",
    "Recovery",
    "RunContext",
    "Turn",
]
