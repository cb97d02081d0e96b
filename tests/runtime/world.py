"""An engine on a real Redis, without Celery: turns are run by calling it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import orjson

from chatagent.agent import Agent
from chatagent.cancel import cancel
from chatagent.redis import RedisBackend
from chatagent.redis.session import Session
from chatagent.redis.worker import WorkerRedis
from chatagent.runtime.engine import Engine, EngineOptions
from tests.redis.chat import Gateway, gateway, submit

T = TypeVar("T")

Chunk = dict[str, Any]


class World:
    """One gateway and any number of engines."""

    def __init__(self, url: str, side: Gateway) -> None:
        self.url = url
        self.side = side
        self.sent: list[tuple[str, str, str]] = []

    @asynccontextmanager
    async def engine(
        self, *agents: Agent[Any], owner: str = "w1", lease_s: float = 15.0, options: EngineOptions | None = None
    ) -> AsyncIterator[Engine]:
        """A worker's engine. What it enqueues stands in `sent`."""
        store: WorkerRedis = RedisBackend(self.url, "test", lease_s=lease_s).open_worker(owner, f"queue.{owner}")

        async def dispatch(agent_id: str, session_id: str, queue: str) -> None:
            self.sent.append((agent_id, session_id, queue))

        engine = Engine(store, {agent.id: agent for agent in agents}, dispatch, options or EngineOptions())
        engine.start()
        bells = asyncio.create_task(store.listen(engine.on_bell))
        try:
            yield engine
        finally:
            await engine.stop()
            await cancel([bells])
            await store.close()

    def chat(self, agent: Agent[Any], chat_id: str = "c1") -> Session:
        """A new session."""
        session, _ = self.side.sessions.create(chat_id, agent.id, queue="turns", user="ada")
        return session

    def say(self, session: Session, text: str = "hi", message_id: str = "u1", **payload: Any) -> int:
        """Send a user's message; returns its seq."""
        return self.side.inbox.push(session.id, "message", {**submit(text, message_id), **payload}).seq

    def stop(self, session: Session) -> None:
        """Send a stop."""
        self.side.inbox.push(session.id, "stop", {})

    def expire(self, session_id: str) -> None:
        """What the passing of the lease time does."""
        self.side.client.hset(f"test:{{{session_id}}}:session", "lease_until", 1)
        self.side.client.zadd("test:leases", {session_id: 1})

    def chunks(self, session: Session) -> list[Chunk]:
        """All chunks that are in the log, control records left out."""
        records = self.side.outbox.read(session.id, -1)
        return [orjson.loads(record.raw) for record in records if record.control is None]

    def history(self, session: Session) -> list[dict[str, Any]]:
        """The committed messages."""
        return self.side.history.read(session.id).messages

    async def turn(self, engine: Engine, session: Session, text: str = "hi", message_id: str = "u1") -> str:
        """One message and its answer."""
        self.say(session, text, message_id)
        return await engine.run_turn(session.agent, session.id)


def live(url: str, test: Callable[[World], Coroutine[Any, Any, T]]) -> T:
    """Run `test` in a world."""
    with gateway(url) as side:
        return asyncio.run(test(World(url, side)))


async def until(condition: Callable[[], Any], *, deadline_s: float = 60.0) -> None:
    """Return once `condition` holds. Raises: TimeoutError."""
    async with asyncio.timeout(deadline_s):
        while not condition():
            await asyncio.sleep(0.005)


def text_of(messages: Iterable[dict[str, Any]]) -> list[str]:
    """The text of each message."""
    return ["".join(part.get("text", "") for part in message["parts"]) for message in messages]
