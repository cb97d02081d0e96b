"""Who answers model calls: litellm, or what stands in for it in tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextvars import ContextVar
from typing import Protocol

from chatagent.llm.delta import Delta
from chatagent.llm.provider import ModelRequest


class DeltaStream(Protocol):
    """An open model call, as `chatagent.llm.provider.ModelStream` is one."""

    def deltas(self) -> AsyncGenerator[Delta, None]:
        """The answer, piece by piece. Raises: ModelError."""

    async def aclose(self) -> None:
        """Give up what is left of it."""


class StandIn(Protocol):
    """Stands in for all models of a context, sub-agents and tasks that it starts included."""

    async def open_stream(self, request: ModelRequest) -> DeltaStream:
        """Start a model call. Raises: ModelError."""

    async def before_tool(self, name: str) -> None:
        """A tool is about to run."""


_current: ContextVar[StandIn | None] = ContextVar("chatagent_stand_in", default=None)


def enter_stand_in(stand_in: StandIn) -> None:
    """Let `stand_in` answer the model calls of this context, and of all that it starts."""
    _current.set(stand_in)


def current_stand_in() -> StandIn | None:
    """What stands in for models here; None in production."""
    return _current.get()
