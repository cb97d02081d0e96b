"""When an answer stops calling tools."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from chatagent.llm.step import Step
from chatagent.llm.wait import settle

#: Given all steps of the answer so far, also those of an earlier attempt or continuation.
StopCondition = Callable[[Sequence[Step]], bool | Awaitable[bool]]


def step_count_is(count: int) -> StopCondition:
    """Stop after `count` steps."""
    return lambda steps: len(steps) >= count


def has_tool_call(*names: str) -> StopCondition:
    """Stop when the last step called one of these tools."""
    return lambda steps: bool(steps) and any(call.name in names for call in steps[-1].calls)


async def is_met(stop_when: StopCondition | Iterable[StopCondition], steps: Sequence[Step]) -> bool:
    """Whether one of the conditions holds."""
    conditions = [stop_when] if callable(stop_when) else list(stop_when)
    return any([bool(await settle(condition(steps))) for condition in conditions])
