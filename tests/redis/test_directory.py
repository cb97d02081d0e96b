from __future__ import annotations

from chatagent.redis.directory import Announcer, Directory
from chatagent.redis.lease import Leases
from tests.redis.chat import KEYS, gateway, work


def test_agents_are_listed_as_their_worker_does_and_then_by_id(redis_url: str) -> None:
    async def announce(one: Leases, two: Leases) -> None:
        await Announcer(one.client, KEYS, "w1").announce({name: {"queue": "turns"} for name in ("main", "other")})
        await Announcer(two.client, KEYS, "w2").announce({"help": {"queue": "turns"}})

    work(redis_url, announce)
    with gateway(redis_url) as side:
        assert [card.id for card in Directory(side.client, KEYS).agents()] == ["help", "main", "other"]
