"""The agents that the clients talk to."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from chatagent import chat, client_tool, stream_text, tool
from tests.long_turn import FORTY


class Undo(BaseModel):
    """Forget the last question and its answer."""

    type: Literal["undo"]


class Ask(BaseModel):
    """Have something answered."""

    type: Literal["ask"]
    text: str


@chat.agent("parrot", actions=Annotated[Undo | Ask, Field(discriminator="type")])
async def parrot(turn: chat.Turn[Any]) -> AsyncIterator[str]:
    """Says it again, word by word; `wait <file>` says one word and goes on when the file exists."""
    message = next(each for each in reversed(turn.ui_messages) if each["role"] == "user")
    text = "".join(part["text"] for part in message["parts"] if part["type"] == "text")
    if text == "preloaded?":
        yield f"{turn.preloaded} {turn.number}"
        return
    if text == "client data":
        yield f"{json.dumps(turn.client_data)} {json.dumps(turn.body)}"
        return
    if text.startswith("wait "):
        yield "before"
        while not Path(text.removeprefix("wait ")).exists():  # noqa: ASYNC240 - a local file
            await asyncio.sleep(0.02)
        yield " after"
        return
    for number, word in enumerate(text.split()):
        yield word if number == 0 else f" {word}"


@parrot.on_action
def act(event: chat.Action[Any, Undo | Ask]) -> chat.TurnRequest | None:
    """Undo, or a turn for what is asked."""
    if isinstance(event.action, Ask):
        return chat.turn(event.action.text)
    chat.history.slice(0, -2)
    return None


@tool
async def wait_for(path: str) -> str:
    """Wait until a file exists."""
    while not Path(path).exists():  # noqa: ASYNC240 - a local file
        await asyncio.sleep(0.02)
    return "it is there"


@client_tool
def ask_place() -> str:
    """Ask the page where it is."""
    raise AssertionError("the page answers")


@chat.agent("helper", tools=[wait_for, ask_place])
async def helper(turn: chat.Turn[Any]) -> Any:
    """Answers with a model that does as the last message says."""
    return stream_text("openai/fake", turn.messages, api_base=os.environ["PROVIDER_URL"], api_key="none")


@chat.agent("forty")
async def forty(turn: chat.Turn[Any]) -> AsyncIterator[dict[str, Any]]:
    """Says all that a step may hold, in as many records."""
    for chunk in FORTY:
        yield chunk
