"""The agents that this deployment serves; also the examples people copy."""

from typing import Any

from chatagent.agent import Agent
from chatagent.agent.task import Task
from workers.agents.approval import approval
from workers.agents.assistant import assistant
from workers.agents.notebook import notebook
from workers.agents.research import read_source, research, research_topic
from workers.agents.sandbox import sandbox
from workers.agents.weather import weather

AGENTS: list[Agent[Any] | Task[Any, Any]] = [
    *(assistant, weather, notebook, sandbox, research, approval),
    *(research_topic, read_source),
]
