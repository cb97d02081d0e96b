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

#: Chunks of an answer none of which can be merged with its neighbour; with its start and its finish it is 40.
FORTY: list[dict[str, Any]] = [
    {"type": "start-step"},
    {"type": "reasoning-start", "id": "r"},
    {"type": "reasoning-delta", "id": "r", "delta": "hm"},
    {"type": "reasoning-end", "id": "r"},
    {"type": "tool-input-start", "toolCallId": "c", "toolName": "look"},
    {"type": "tool-input-delta", "toolCallId": "c", "inputTextDelta": '{"at":"it"}'},
    {"type": "tool-input-available", "toolCallId": "c", "toolName": "look", "input": {"at": "it"}},
    {"type": "data-progress", "id": "p", "data": 1},
    {"type": "tool-output-available", "toolCallId": "c", "output": {"seen": True}},
    {"type": "data-progress", "id": "p", "data": 2},
    {"type": "source-url", "sourceId": "s", "url": "https://example.org/", "title": "A source"},
    {"type": "message-metadata", "messageMetadata": {"usage": 1}},
    {"type": "finish-step"},
    {"type": "start-step"},
    {"type": "text-start", "id": "a"},
    {"type": "text-start", "id": "b"},
    *[{"type": "text-delta", "id": "ab"[at % 2], "delta": f"w{at} "} for at in range(19)],
    {"type": "text-end", "id": "a"},
    {"type": "text-end", "id": "b"},
    {"type": "finish-step"},
]


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
