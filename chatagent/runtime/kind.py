"""The kinds of things that serve a claimed record, by the type of their agent."""

from __future__ import annotations

from typing import Any

from chatagent.agent import Agent
from chatagent.agent.task import Task
from chatagent.runtime.port import Claim, Store
from chatagent.runtime.run import Run
from chatagent.runtime.served import Served
from chatagent.runtime.task import TaskTurn
from chatagent.runtime.turn import AnsweredTurn, TurnOptions
from chatagent.runtime.writer import TurnLog

#: What a worker serves under an id of its own.
Kind = Agent[Any] | Task[Any, Any]


def serve(claim: Claim, agent: Kind, run: Run, log: TurnLog, options: TurnOptions, store: Store) -> Served:
    """What serves this claim. Custom agents are answered like others: their loop is their `run`."""
    if isinstance(agent, Task):
        return TaskTurn(claim, agent, log, store)
    return AnsweredTurn(claim, agent, run, log, options, store)
