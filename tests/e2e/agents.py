"""The agents that end-to-end tests talk to: `echo` does what a message says, `model` asks the fake provider."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from chatagent import chat, step_count_is, stream_text, tool
from chatagent.llm import StreamTextResult, client_tool
from tests.e2e.script import Step, read_steps

#: Where the fake provider listens; set for the worker.
PROVIDER_VARIABLE = "E2E_PROVIDER"
#: Steps of one answer of the model.
MAX_STEPS = 6


@chat.agent("echo")
async def echo(turn: chat.Turn[Any]) -> AsyncIterator[str | dict[str, Any]]:
    """Does what the message says (see `tests.e2e.script`), without a model."""
    said = 0
    for step in read_steps(_text(turn.ui_messages)):
        if "say" in step:
            for number in range(said, said + step["say"]):
                await asyncio.sleep(step["every_ms"] / 1000)
                yield f"w{number} "
            said += step["say"]
        elif "text" in step:
            yield step["text"]
        elif "part" in step:
            yield step["part"]
        else:
            await _act(step)


async def _act(step: Step) -> None:
    """The steps that emit nothing."""
    if "hold" in step:
        await exists(Path(step["hold"]))
    elif "note" in step:
        _append(Path(step["note"]), step["line"])
    elif "die" in step:
        os.kill(os.getpid(), signal.SIGKILL)
    else:
        raise RuntimeError(step["fail"])


@tool
async def get_weather(city: str) -> dict[str, str | int]:
    """Tell the weather of a city."""
    return {"city": city, "celsius": len(city)}


@tool
async def book(file: str, what: str) -> str:
    """Book something. Every booking costs: it is one more line in the file."""
    _append(Path(file), what)
    return f"booked {what}"


@tool
async def wait_for(gate: str) -> str:
    """Wait until a file exists."""
    await exists(Path(gate))
    return "it is there"


@tool(needs_approval=True)
async def pay(file: str, euros: int) -> str:
    """Pay; the user is asked before. It is one more line in the file."""
    _append(Path(file), f"{euros}")
    return f"paid {euros}"


@client_tool
async def ask_place() -> str:
    """Ask the browser where it is."""
    raise NotImplementedError("the page answers")


@chat.agent("model", tools=[get_weather, book, wait_for, pay, ask_place])
async def model(turn: chat.Turn[Any]) -> StreamTextResult:
    """Asks the fake provider, which does what the message says (see `tests.provider`)."""
    return stream_text(
        "openai/fake",
        turn.messages,
        stop_when=step_count_is(MAX_STEPS),
        api_base=os.environ[PROVIDER_VARIABLE],
        api_key="none",
        max_retries=0,
    )


def _text(messages: list[dict[str, Any]]) -> str:
    """The text of the last message of the user."""
    last = next(message for message in reversed(messages) if message["role"] == "user")
    return "".join(part["text"] for part in last["parts"] if part["type"] == "text")


def _append(file: Path, line: str) -> None:
    with file.open("a") as out:
        out.write(f"{line}\n")


async def exists(gate: Path) -> None:
    """Wait until a file exists."""
    while not gate.exists():  # noqa: ASYNC240 - a local file
        await asyncio.sleep(0.02)
