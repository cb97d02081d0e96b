"""The kinds of things that serve a claimed record, by the type of their agent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chatagent.agent import Agent
from chatagent.agent.task import Task
from chatagent.errors import ConfigError
from chatagent.llm import Tool, to_tools
from chatagent.runtime.port import Claim, Store
from chatagent.runtime.run import Run
from chatagent.runtime.served import Served
from chatagent.runtime.task import TaskTurn
from chatagent.runtime.turn import AnsweredTurn, TurnOptions
from chatagent.runtime.writer import TurnLog

#: What a worker serves under an id of its own.
Kind = Agent[Any] | Task[Any, Any]


def by_id(kinds: Iterable[Kind]) -> dict[str, Kind]:
    """What is served, by id. Raises: ConfigError for two with one id, and for tools that cannot run."""
    found: dict[str, Kind] = {}
    for kind in kinds:
        if found.setdefault(kind.id, kind) is not kind:
            raise ConfigError(f"two agents or tasks are called {kind.id!r}; ids are Celery task names and must differ")
        if isinstance(kind, Agent) and (isinstance(kind.options.tools, Tool) or not callable(kind.options.tools)):
            try:
                to_tools(kind.options.tools)
            except ConfigError as error:
                raise ConfigError(f"agent {kind.id!r}: {error}") from error
    return found


def serve(claim: Claim, agent: Kind, run: Run, log: TurnLog, options: TurnOptions, store: Store) -> Served:
    """What serves this claim. Custom agents are answered like others: their loop is their `run`."""
    if isinstance(agent, Task):
        return TaskTurn(claim, agent, log, store)
    return AnsweredTurn(claim, agent, run, log, options, store)
