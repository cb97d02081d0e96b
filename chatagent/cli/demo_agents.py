"""What `chatagent dev` serves where there are no agents yet: one assistant with two small tools."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

from chatagent import chat, step_count_is, stream_text, tool
from chatagent.llm import StreamTextResult

_SYSTEM = "You are a friendly assistant. Answer briefly, in Markdown. Use the tools where they help."


@tool
def current_time() -> str:
    """Tell the current date and time in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@tool
def roll_dice(dice: int = 1, sides: int = 6) -> list[int]:
    """Roll up to ten dice."""
    return [random.randint(1, max(2, sides)) for _ in range(min(max(1, dice), 10))]


@chat.agent(
    "assistant",
    tools=[current_time, roll_dice],
    examples=["What is chatagent?", "What is the current time?", "Roll two dice for me."],
)
async def assistant(turn: chat.Turn[Any]) -> StreamTextResult:
    """Answers questions, tells the time and rolls dice."""
    return stream_text(turn.model, turn.messages, system=_SYSTEM, stop_when=step_count_is(5))


AGENTS = (assistant,)
