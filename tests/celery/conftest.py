"""A stack for real workers, and a gateway's hands: send a message, see the answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from chatagent.celery import Enqueue, make_producer
from chatagent.cli.broker import celery_prefix
from chatagent.redis.connection import broker_url
from chatagent.settings import Settings
from tests.redis.chat import KEYS, Gateway, gateway, submit
from tests.redis_server import RedisServer
from tests.stack import Stack, wait_until


@dataclass
class Floor:
    """A stack without its gateway process."""

    stack: Stack
    side: Gateway
    enqueue: Enqueue
    _number: int = 0

    def say(self, agent: str, chat_id: str, text: str = "hi") -> str:
        """Send a message to a chat, new or not; returns the session's id."""
        self._number += 1
        session, _ = self.side.sessions.create(chat_id, agent, queue="turns", user="ada")
        pushed = self.side.inbox.push(session.id, "message", submit(text, f"u{self._number}"))
        if pushed.enqueue:
            self.enqueue(pushed.agent, session.id, pushed.queue)
        return session.id

    def texts(self, session_id: str) -> list[str]:
        """The text of each committed message."""
        messages = self.side.history.read(session_id).messages
        return ["".join(part.get("text", "") for part in message["parts"]) for message in messages]

    def answered(self, session_id: str, answers: int) -> list[str]:
        """The texts, once there are so many answers."""
        wait_until(lambda: len(self.texts(session_id)) >= 2 * answers, f"{answers} answers", timeout_s=60)
        return self.texts(session_id)


@pytest.fixture
def floor(own_redis: RedisServer, tmp_path: Path) -> Iterator[Floor]:
    """Start workers with `floor.stack.worker(file)`; their leases are short."""
    env = {
        "CHATAGENT_LEASE_S": "2",
        "CHATAGENT_GRACE_S": "1",
        "CHATAGENT_SWEEP_S": "0.3",
        "CHATAGENT_CLAIM_GRACE_S": "1",
    }
    stack = Stack(own_redis, tmp_path, env, prefix=KEYS.prefix)
    settings = Settings(redis_url=own_redis.url, prefix=KEYS.prefix)
    app = make_producer(broker_url(own_redis.url), key_prefix=celery_prefix(settings))
    with gateway(own_redis.url) as side:
        yield Floor(stack, side, Enqueue(app))
    app.close()
