"""Sub-agents: an answer inside a tool, shown in the tool's card while it grows.

@tool(to_model_output=last_text)
async def research(topic: str):
    return stream_to_tool_output(stream_text("openai/gpt-4o", [{"role": "user", "content": topic}], tools=[search]))
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping
from typing import Any

from chatagent.errors import ConfigError
from chatagent.ui import Fold, decode, encode

#: Seconds between two states of a card, at least.
INTERVAL_S = 0.2
#: What the states of one card may cost on average: every state is the whole message.
BYTES_PER_S = 32_000


class SubAgentFailed(Exception):
    """The answer inside a tool ended with an error; `str()` is what its stream told of it."""


async def stream_to_tool_output(
    source: AsyncIterable[Mapping[str, Any]], *, interval_s: float = INTERVAL_S, bytes_per_s: float = BYTES_PER_S
) -> AsyncGenerator[dict[str, Any], None]:
    """The message that a stream of UI message chunks makes, as it grows: the outputs of a tool.

    `source` is a `stream_text` result or any other stream of chunks; it is read as fast as it comes. After a state of
    n bytes the next one waits for n / `bytes_per_s` seconds, and at least for `interval_s`: so what a card costs grows
    with the time that it takes, not with the square of its length. The last state is the whole message.
    Raises: SubAgentFailed after the last state, when the answer failed.
    """
    fold, changed = Fold(), asyncio.Event()
    pump = asyncio.create_task(_pump(source, fold, changed), name="sub-agent")
    pump.add_done_callback(lambda _: changed.set())
    try:
        while True:
            await changed.wait()
            if pump.done():
                break
            changed.clear()
            state = encode(fold.message)
            yield decode(state)
            await asyncio.wait({pump}, timeout=max(interval_s, len(state) / bytes_per_s))
        error = pump.result()
        yield decode(encode(fold.message))
        if error is not None:
            raise SubAgentFailed(error)
    finally:
        pump.cancel()
        await asyncio.wait({pump})


def last_text(output: Any) -> str:
    """For `to_model_output`: the text that a sub-agent ended with."""
    if not isinstance(output, Mapping):
        return "" if output is None else str(output)
    text: list[str] = []
    for part in reversed(output.get("parts") or ()):
        if part.get("type") == "text":
            text.append(part.get("text", ""))
        elif part.get("type") == "step-start" and any(text):
            break
    return "".join(reversed(text))


async def _pump(source: AsyncIterable[Mapping[str, Any]], fold: Fold, changed: asyncio.Event) -> str | None:
    """Fold the source; gives the text of the error that it ended with."""
    error: str | None = None
    chunks: AsyncIterator[Mapping[str, Any]] = aiter(source)
    try:
        async for chunk in chunks:
            if not isinstance(chunk, Mapping) or "type" not in chunk:
                raise ConfigError("a sub-agent streams UI message chunks: give stream_to_tool_output a stream of those")
            if chunk["type"] == "error":
                error = str(chunk.get("errorText", ""))
            fold.add(dict(chunk))
            changed.set()
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
    return error
