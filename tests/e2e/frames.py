"""Many answers on few WebSockets: the frames of AI SDK 7's transport without the SDK, for tests of many chats."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from chatagent.ui import fold_message
from tests.stack import SECRET

#: Seconds for one answer, however busy the machine is.
ANSWER_S = 60.0


@dataclass
class Answer:
    """What came for one request."""

    chat_id: str
    chunks: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self) -> dict[str, Any]:
        """The message, when the answer has ended."""
        async with asyncio.timeout(ANSWER_S):
            await self.ended.wait()
        assert self.error is None, f"{self.chat_id}: {self.error}"
        return fold_message(self.chunks)

    def take(self, frame: dict[str, Any]) -> None:
        """Take a frame; chunks must come in order, from the first."""
        match frame["type"]:
            case "chunk":
                assert frame["sequence"] == len(self.chunks), f"{self.chat_id}: a gap before {frame}"
                self.chunks.append(frame["chunk"])
            case "error":
                self.error = frame["errorText"]
                self.ended.set()
            case "end":
                self.ended.set()


class Wire:
    """One WebSocket with many requests."""

    _numbers = itertools.count(1)

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._answers: dict[str, Answer] = {}

    async def send(self, chat_id: str, text: str, *, agent: str = "echo") -> Answer:
        """Send a message to a chat, which is made if need be."""
        number = next(self._numbers)
        answer = self._answers[f"r{number}"] = Answer(chat_id)
        message = {"id": f"u{number}", "role": "user", "parts": [{"type": "text", "text": text}]}
        frame = {"type": "send", "requestId": f"r{number}", "id": chat_id, "headers": {}, "body": {"agent": agent}}
        await self._connection.send(json.dumps({**frame, "messages": [message]}))
        return answer

    async def read(self) -> None:
        """Hand frames to their answers, for ever."""
        async for data in self._connection:
            frame = json.loads(data)
            self._answers[frame["requestId"]].take(frame)


@asynccontextmanager
async def open_wire(url: str) -> AsyncIterator[Wire]:
    """A WebSocket to the gateway at `url`, with a server's rights."""
    address = f"{url.replace('http', 'ws', 1)}/api/chat/ws?token={SECRET}"
    async with (
        connect(address, compression=None, max_size=None, proxy=None) as connection,
        asyncio.TaskGroup() as group,
    ):
        wire = Wire(connection)
        reading = group.create_task(wire.read())
        yield wire
        reading.cancel()
