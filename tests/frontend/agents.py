"""The agent behind the guide's pages: it does what a message says, alone or by way of the fake provider."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from chatagent import chat, step_count_is, stream_text, tool
from chatagent.llm import StreamTextResult, client_tool
from tests.e2e.agents import PROVIDER_VARIABLE, exists
from tests.e2e.script import read_steps


@tool(needs_approval=True)
async def pay(euros: int) -> str:
    """Pay; the user is asked before."""
    return f"paid {euros}"


@client_tool
async def ask_place() -> str:
    """Ask the browser where it is."""
    raise NotImplementedError("the page answers")


@chat.agent("assistant", tools=[pay, ask_place])
async def assistant(turn: chat.Turn[Any]) -> StreamTextResult | AsyncIterator[str | dict[str, Any]]:
    """Steps are done here; all else goes to the provider (see `tests.provider`)."""
    last = next(message for message in reversed(turn.ui_messages) if message["role"] == "user")
    text = "".join(part["text"] for part in last["parts"] if part["type"] == "text")
    if text.startswith("[{"):
        return _steps(text)
    return stream_text(
        "openai/fake",
        turn.messages,
        stop_when=step_count_is(4),
        api_base=os.environ[PROVIDER_VARIABLE],
        api_key="none",
        max_retries=0,
    )


async def _steps(text: str) -> AsyncIterator[str | dict[str, Any]]:
    for step in read_steps(text):
        if "say" in step:
            for number in range(step["say"]):
                yield f"w{number} "
        elif "part" in step:
            yield step["part"]
        else:
            await exists(Path(step["hold"]))
