from __future__ import annotations

import os

from chatagent import chat


@chat.custom_agent("counting")
async def counting(payload: chat.ChatTaskPayload) -> None:
    """Counts its turns."""
    count = 0
    async for turn in chat.create_session(payload):
        count += 1
        await turn.complete(f"{count} {os.getpid()}")
