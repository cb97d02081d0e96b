"""The agent that benchmarks talk to: the message says how many tokens to stream and how far apart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from chatagent import chat


@chat.agent("pace")
async def pace(turn: chat.Turn[Any]) -> AsyncIterator[str]:
    """Streams `<tokens> <milliseconds between them>`; each token is the time it was made at."""
    tokens, every_ms = (float(word) for word in turn.messages[-1]["content"].split())
    began = time.monotonic()
    for n in range(int(tokens)):
        yield f"{time.time_ns()} "
        if every_ms:
            # Against a fixed schedule, so that a slow moment is made up for.
            await asyncio.sleep(max(0.0, began + (n + 1) * every_ms / 1000 - time.monotonic()))
