"""What an app's own server asks of a gateway: start chats, read them, stop them."""

from __future__ import annotations

import itertools
import json
import secrets
from dataclasses import dataclass
from typing import Any

import httpx

from tests.loopback import LOOPBACK
from tests.stack import SECRET, wait_until

Message = dict[str, Any]


@dataclass(frozen=True)
class Started:
    """A chat that exists, and the token that a browser gets for it."""

    chat_id: str
    session_id: str
    token: str


class Server:
    """Calls one gateway with the secret key."""

    _numbers = itertools.count(1)

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {SECRET}"}, timeout=30, **LOOPBACK)

    def start(self, agent: str) -> Started:
        """Make a chat."""
        chat_id = f"{agent}-{next(self._numbers)}-{secrets.token_hex(3)}"
        answer = self._http.post("/api/v1/sessions", json={"taskIdentifier": agent, "externalId": chat_id})
        assert answer.status_code == 201, answer.text
        session = answer.json()
        return Started(chat_id, session["id"], session["publicAccessToken"])

    def read(self, chat_id: str) -> dict[str, Any]:
        """The chat and its messages."""
        answer = self._http.get(f"/api/v1/sessions/{chat_id}/history")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def messages(self, chat_id: str) -> list[Message]:
        """The conversation as it is stored."""
        messages: list[Message] = self.read(chat_id)["messages"]
        return messages

    def stop(self, chat_id: str) -> bool:
        """Stop the answer that is being written; whether there was one."""
        answer = self._http.post(f"/api/chat/{chat_id}/stop")
        assert answer.status_code == 200, answer.text
        return bool(answer.json()["stopped"])

    def wait_idle(self, chat_id: str) -> list[Message]:
        """Wait until nothing is being answered; gives the conversation."""
        return wait_until(lambda: self._when_idle(chat_id), f"{chat_id} is idle", timeout_s=60)

    def close(self) -> None:
        self._http.close()

    def _when_idle(self, chat_id: str) -> list[Message]:
        """The conversation; empty while something is being answered."""
        chat = self.read(chat_id)
        return chat["messages"] if chat["status"] == "idle" else []


def canonical(messages: list[Message]) -> str:
    """Messages as text that is equal when they are; easy to read in a diff."""
    return "\n".join(json.dumps(message, sort_keys=True, indent=1, ensure_ascii=False) for message in messages)


def text_of(message: Message) -> str:
    """The text of a message."""
    return "".join(part["text"] for part in message["parts"] if part["type"] == "text")
