"""When the conversation grows too long for the model: what the agent's compaction makes of it, and where it is kept."""

from __future__ import annotations

from typing import Any

from chatagent.agent import Agent, Turn
from chatagent.llm import NextStep, StepPlan
from chatagent.runtime.author import Author
from chatagent.runtime.control import TurnControl
from chatagent.runtime.run import Run


class Compactor:
    """Sums up one chat for the model; the UI messages stay."""

    def __init__(self, turn: Turn[Any], agent: Agent[Any], run: Run, control: TurnControl, author: Author) -> None:
        self._turn = turn
        self._agent = agent
        self._run = run
        self._control = control
        self._author = author

    async def between(self, plan: StepPlan, step: NextStep) -> None:
        """Between two steps of an answer."""

    async def after(self, usage: dict[str, Any], total_usage: dict[str, Any]) -> None:
        """After the last step of a turn."""
