from __future__ import annotations

from typing import Any

from chatagent import chat, task


@task("child")
async def child(number: int) -> int:
    return number * 2


@chat.agent("parent")
async def parent(turn: chat.Turn[Any]) -> str:
    """Lets a child count."""
    result = await child.trigger_and_wait(int(turn.messages[-1]["content"]))
    return str(result.unwrap())
