"""How tests talk to a gateway: frames over a WebSocket, server-sent events over HTTP, and waiting for a condition."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from tests.flask.gateway_process import GatewayProcess

#: Seconds that a test waits for something that must happen.
DEADLINE_S = 30.0

Frame = dict[str, Any]


def user(text: str, message_id: str = "u1") -> dict[str, Any]:
    """A user message as the stock client makes it."""
    return {"id": message_id, "role": "user", "parts": [{"type": "text", "text": text}]}


def body(chat_id: str, text: str, message_id: str = "u1", **further: Any) -> dict[str, Any]:
    """What `DefaultChatTransport` posts."""
    return {
        "id": chat_id,
        "messages": [user(text, message_id)],
        "trigger": "submit-message",
        "agent": "echo",
        **further,
    }


def until(condition: Callable[[], Any], what: str = "the condition") -> Any:
    """Wait for a truthy value and return it."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)


class Socket:
    """One WebSocket to a gateway."""

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws

    def put(self, kind: str, **fields: Any) -> None:
        """Send a frame."""
        self.ws.send(json.dumps({"type": kind, **fields}))

    def send(self, request_id: str, chat_id: str, text: str, message_id: str = "u1", **fields: Any) -> None:
        """Send a message as `WebSocketChatTransport` does."""
        frame = {"trigger": "submit-message", "headers": {}, "body": {"agent": "echo"}, **fields}
        self.put("send", requestId=request_id, id=chat_id, messages=[user(text, message_id)], **frame)

    def resume(self, request_id: str, chat_id: str, **fields: Any) -> None:
        """Ask for the running answer."""
        self.put("resume", requestId=request_id, id=chat_id, headers={}, body={}, **fields)

    def get(self, timeout_s: float = DEADLINE_S) -> Frame:
        """The next frame."""
        frame: Frame = json.loads(self.ws.recv(timeout=timeout_s))
        return frame

    def until(self, *kinds: str, request_id: str | None = None) -> list[Frame]:
        """Frames up to and with the first of these kinds (of this request)."""
        frames = [self.get()]
        while frames[-1]["type"] not in kinds or (request_id and frames[-1]["requestId"] != request_id):
            frames.append(self.get())
        return frames

    def answer(self, request_id: str) -> list[dict[str, Any]]:
        """The chunks of a request, to its end; checks that they came as the transport wants them."""
        frames = self.until("end", "error", request_id=request_id)
        mine = [frame for frame in frames if frame["requestId"] == request_id]
        assert mine[0] == {"type": "start", "requestId": request_id}
        assert mine[-1] == {"type": "end", "requestId": request_id}, mine[-1]
        assert [frame["sequence"] for frame in mine[1:-1]] == list(range(len(mine) - 2))
        return [frame["chunk"] for frame in mine[1:-1]]


@contextmanager
def socket(gateway: GatewayProcess, token: str | None = "all", **options: Any) -> Iterator[Socket]:
    """A WebSocket; by default with a token that may do everything."""
    shown = gateway.token() if token == "all" else token
    url = f"{gateway.ws_url}?token={shown}" if shown else gateway.ws_url
    options = {"compression": None, "max_size": None, "ping_interval": None, "proxy": None, **options}
    with connect(url, **options) as ws:
        yield Socket(ws)


def events(response: httpx.Response) -> Iterator[str]:
    """The data of a response's server-sent events, as they come; comments are given as they are."""
    for line in response.iter_lines():
        if line.startswith("data: "):
            yield line.removeprefix("data: ")
        elif line.startswith(":"):
            yield line


def chunks_of(response: httpx.Response) -> list[dict[str, Any]]:
    """The chunks of a whole stream; checks its framing as the strictest client would."""
    assert response.status_code == 200, response.text
    chunks: list[dict[str, Any]] = []
    *blocks, rest = response.text.split("\n\n")
    assert rest == "", "the last event lacks its blank line"
    for block in blocks:
        if block.startswith(":"):
            continue
        assert block.startswith("data: "), block
        assert "\n" not in block, block
        data = block.removeprefix("data: ")
        if data != "[DONE]":
            chunks.append(json.loads(data))
    assert blocks[-1] == "data: [DONE]"
    return chunks


def text_of(chunks: list[dict[str, Any]]) -> str:
    """What the chunks say."""
    return "".join(chunk["delta"] for chunk in chunks if chunk["type"] == "text-delta")
