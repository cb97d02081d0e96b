"""The agents that this deployment serves; also the examples people copy."""

from workers.agents.assistant import assistant
from workers.agents.weather import weather

AGENTS = [assistant, weather]
