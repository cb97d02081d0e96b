"""The agent that the clients talk to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from chatagent import chat


@chat.agent("parrot")
async def parrot(turn: chat.Turn[Any]) -> AsyncIterator[str]:
    """Says it again, word by word; `wait <file>` says one word and goes on when the file exists."""
    message = next(each for each in reversed(turn.ui_messages) if each["role"] == "user")
    text = "".join(part["text"] for part in message["parts"] if part["type"] == "text")
    if text.startswith("wait "):
        yield "before"
        while not Path(text.removeprefix("wait ")).exists():  # noqa: ASYNC240 - a local file
            await asyncio.sleep(0.02)
        yield " after"
        return
    for number, word in enumerate(text.split()):
        yield word if number == 0 else f" {word}"
