"""A lean WebSocket client that counts what arrives: many chats per socket, no message kept."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import orjson
import websockets


@dataclass(slots=True)
class Answer:
    """One answer as it arrives. Times in seconds since 1970."""

    sent_at: float
    done: asyncio.Event = field(default_factory=asyncio.Event)
    first_frame_at: float = 0.0
    first_token_at: float = 0.0
    frames: int = 0
    tokens: int = 0
    #: Seconds between a token's making and its arrival.
    lags_s: list[float] = field(default_factory=list)
    failed: str | None = None


class Socket:
    """One connection to the gateway."""

    def __init__(self, connection: websockets.ClientConnection) -> None:
        self._connection = connection
        self._answers: dict[str, Answer] = {}
        self._reader = asyncio.create_task(self._read())
        self._count = 0

    async def send(self, chat_id: str, text: str) -> Answer:
        """Send one message; the answer fills up as it comes."""
        self._count += 1
        request = f"r{self._count}"
        frame = {
            "type": "send",
            "requestId": request,
            "id": chat_id,
            "trigger": "submit-message",
            "messages": [{"id": f"{chat_id}-{self._count}", "role": "user", "parts": [{"type": "text", "text": text}]}],
            "headers": {},
            "body": {"agent": "pace"},
        }
        answer = self._answers[request] = Answer(time.time())
        await self._connection.send(orjson.dumps(frame).decode())
        return answer

    async def close(self) -> None:
        self._reader.cancel()
        await self._connection.close()

    async def _read(self) -> None:
        async for data in self._connection:
            raw = data.encode() if isinstance(data, str) else data
            frame = orjson.loads(raw)
            answer = self._answers.get(frame.get("requestId", ""))
            if answer is None:
                continue
            kind = frame["type"]
            if kind == "chunk":
                self._chunk(answer, frame["chunk"])
            elif kind in ("end", "error", "no-active"):
                answer.failed = None if kind == "end" else str(frame)
                answer.done.set()

    def _chunk(self, answer: Answer, chunk: dict[str, object]) -> None:
        now = time.time()
        answer.frames += 1
        answer.first_frame_at = answer.first_frame_at or now
        if chunk["type"] == "text-delta":
            answer.first_token_at = answer.first_token_at or now
            tokens = str(chunk["delta"]).split()
            answer.tokens += len(tokens)
            answer.lags_s.append(now - int(tokens[-1]) / 1e9)


async def connect(url: str, token: str) -> Socket:
    """Open a socket to a gateway (`http://…`)."""
    target = f"{url.replace('http', 'ws', 1)}/api/chat/ws?token={token}"
    return Socket(await websockets.connect(target, compression=None, max_queue=None, ping_interval=None))
