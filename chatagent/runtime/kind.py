"""The kinds of things that serve a claimed record, by the type of their agent."""

from __future__ import annotations

from typing import Any

from chatagent.agent import Agent
from chatagent.runtime.port import Claim, Store
from chatagent.runtime.run import Run
from chatagent.runtime.served import Served
from chatagent.runtime.turn import AnsweredTurn, TurnOptions
from chatagent.runtime.writer import TurnLog


def serve(claim: Claim, agent: Agent[Any], run: Run, log: TurnLog, options: TurnOptions, store: Store) -> Served:
    """What serves this claim. Custom agents are answered like others: their loop is their `run`."""
    return AnsweredTurn(claim, agent, run, log, options, store)
