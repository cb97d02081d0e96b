"""Who serves what: workers announce themselves and their agents, the gateway looks it up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import redis
import redis.asyncio

from chatagent.record import Busy
from chatagent.redis.error import store_errors
from chatagent.redis.keys import Keys
from chatagent.redis.script import run, run_async
from chatagent.redis.session import pairs
from chatagent.runtime.port import SessionKind

#: Seconds after which a silent worker counts as gone; it announces itself every 5.
ALIVE_S = 20.0
#: Seconds after which a worker that never came back is forgotten.
_FORGET_S = 3600.0


@dataclass(frozen=True, slots=True)
class AgentCard:
    """What a worker says about an agent; `online` when a live worker serves it."""

    id: str
    queue: str
    description: str
    model: str | None
    examples: tuple[str, ...]
    online: bool
    #: What it does with messages that come while it is busy.
    busy: Busy = "enqueue"
    kind: SessionKind = "agent"


class Announcer:
    """The worker's side."""

    def __init__(self, client: redis.asyncio.Redis, keys: Keys, worker: str) -> None:
        self.client = client
        self.keys = keys
        self.worker = worker

    async def announce(self, agents: Mapping[str, Mapping[str, Any]]) -> None:
        """Say that this worker lives and serves `agents` (id → card, in the order to show). Raises: StoreDown."""
        now = await self._now_ms()
        cards: list[Any] = []
        for place, (name, card) in enumerate(agents.items()):
            cards += name, orjson.dumps({**card, "place": place, "seen_ms": now})
        async with store_errors():
            await run_async(
                self.client,
                ("ZADD", self.keys.workers, now, self.worker),
                ("ZREMRANGEBYSCORE", self.keys.workers, "-inf", now - int(_FORGET_S * 1000)),
                *([("HSET", self.keys.agents, *cards)] if cards else []),
            )

    async def _now_ms(self) -> int:
        """By the clock of Redis, which those share who look."""
        async with store_errors():
            ((seconds, micros),) = await run_async(self.client, ("TIME",))
        return _ms((seconds, micros))

    async def leave(self) -> None:
        """Say that this worker is gone. Raises: StoreDown."""
        async with store_errors():
            await run_async(self.client, ("ZREM", self.keys.workers, self.worker))


class Directory:
    """The gateway's side."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self.client = client
        self.keys = keys

    def agents(self) -> list[AgentCard]:
        """Every agent that was ever announced, in the order of its worker, then by id. Raises: StoreDown."""
        with store_errors():
            now, found = run(self.client, ("TIME",), ("HGETALL", self.keys.agents))
        cards = [(name.decode(), orjson.loads(card)) for name, card in pairs(found).items()]
        cards.sort(key=lambda card: (card[1].get("place", 0), card[0]))
        return [_card(name, card, _ms(now)) for name, card in cards]

    def agent(self, agent_id: str) -> AgentCard | None:
        """One agent, if any worker ever announced it. Raises: StoreDown."""
        with store_errors():
            now, found = run(self.client, ("TIME",), ("HGET", self.keys.agents, agent_id))
        return _card(agent_id, orjson.loads(found), _ms(now)) if found else None

    def live_workers(self) -> list[str]:
        """Workers that announced themselves lately. Raises: StoreDown."""
        with store_errors():
            (now,) = run(self.client, ("TIME",))
            since = _ms(now) - int(ALIVE_S * 1000)
            (found,) = run(self.client, ("ZRANGEBYSCORE", self.keys.workers, since, "+inf"))
        return [worker.decode() for worker in found]


def _ms(time: Any) -> int:
    """What `TIME` replied, in ms."""
    return int(time[0]) * 1000 + int(time[1]) // 1000


def _card(agent_id: str, card: Mapping[str, Any], now_ms: int) -> AgentCard:
    return AgentCard(
        id=agent_id,
        queue=str(card.get("queue", "")),
        description=str(card.get("description", "")),
        model=card.get("model"),
        examples=tuple(card.get("examples", ())),
        online=card.get("seen_ms", 0) > now_ms - ALIVE_S * 1000,
        busy=card.get("busy") or "enqueue",
        kind=card.get("kind") or "agent",
    )
