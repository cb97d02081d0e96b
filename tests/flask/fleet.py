"""A real worker and a real gateway, and who talks to them: its agent does as a message says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import connect

from chatagent.flask import Tokens
from tests.flask.talk import Socket, user
from tests.loopback import LOOPBACK
from tests.redis_server import RedisServer
from tests.stack import SECRET, Stack

AGENTS = """
import asyncio
from pathlib import Path
from chatagent import chat

@chat.agent("gate")
async def gate(turn):
    said = turn.ui_messages[-1]["parts"][0].get("text", "")
    if said == "fail":
        raise RuntimeError("no")
    if said.startswith("ask"):
        call = said[4:] or "c1"
        yield {"type": "start-step"}
        yield {"type": "tool-input-available", "toolCallId": call, "toolName": "pay", "input": {}}
        yield {"type": "tool-approval-request", "approvalId": "ap-" + call, "toolCallId": call}
        yield {"type": "finish-step"}
        return
    yield "one "
    while said and not Path(said).exists() and not turn.signal.aborted:
        await asyncio.sleep(0.01)
    yield "two"
"""
TOKENS = Tokens(SECRET)


class Chats:
    """One gateway with one worker, and who talks to them."""

    def __init__(self, redis: RedisServer, folder: Path) -> None:
        self.stack = Stack(redis, folder)
        file = folder / "agents.py"
        file.write_text(AGENTS)
        self._exit = ExitStack()
        self._exit.enter_context(self.stack.worker(file))
        self.gateway = self._exit.enter_context(self.stack.gateway())
        self.http = self._exit.enter_context(httpx.Client(base_url=self.gateway.url, **LOOPBACK, timeout=30))

    def close(self) -> None:
        """End them."""
        self._exit.close()

    def gate(self, name: str) -> Path:
        """A file for which an answer waits when its path is the message."""
        return self.stack.folder / f"gate-{name}"

    def create(self, chat_id: str, token: str = SECRET, **fields: Any) -> None:
        """Make a chat."""
        answer = self.http.post(
            "/api/v1/sessions",
            json={"externalId": chat_id, "taskIdentifier": "gate", "type": "chat.agent", **fields},
            headers={"Authorization": f"Bearer {token}"},
        )
        assert answer.status_code in (200, 201), answer.text

    def ask(self, chat_id: str, text: str = "") -> None:
        """Send a message and do not wait for its answer."""
        payload = {"trigger": "submit-message", "message": user(text or str(self.gate(chat_id)), f"u-{chat_id}-{text}")}
        answer = self.http.post(
            f"/realtime/v1/sessions/{chat_id}/in/append",
            json={"kind": "message", "payload": payload},
            headers={"Authorization": f"Bearer {SECRET}"},
        )
        assert answer.status_code == 200, answer.text

    def post(self, path: str) -> None:
        """Call a route as a server."""
        answer = self.http.post(path, json={}, headers={"Authorization": f"Bearer {SECRET}"})
        assert answer.status_code == 200, answer.text

    @contextmanager
    def socket(self, token: str) -> Iterator[Socket]:
        """A WebSocket."""
        url = self.gateway.url.replace("http", "ws", 1) + f"/api/chat/ws?token={token}"
        with connect(url, compression=None, proxy=None) as ws:
            yield Socket(ws)
