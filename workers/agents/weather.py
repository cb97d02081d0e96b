"""An agent with tools: the model calls them, the page shows a card for each."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime

from chatagent import chat, step_count_is, stream_text, tool
from chatagent.llm import StreamTextResult


@tool
async def get_weather(city: str) -> dict[str, str | int]:
    """Tell the weather of a city."""
    await asyncio.sleep(0.8)
    sky = random.Random(city).choice(["sunny", "cloudy", "rainy", "windy"])
    return {"city": city, "sky": sky, "celsius": random.Random(city).randint(3, 29)}


@tool
def current_time() -> str:
    """Tell the date and time in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@chat.agent(
    "weather",
    tools=[get_weather, current_time],
    examples=["What is the weather in Lisbon?", "What is the current time?"],
)
async def weather(turn: chat.Turn[None]) -> StreamTextResult:
    """Calls tools: the weather and the time."""
    return stream_text(turn.model, turn.messages, stop_when=step_count_is(5))
