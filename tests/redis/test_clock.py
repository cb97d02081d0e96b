"""Clocks of machines differ and jump: who is due, and who lives, is told by the clock of Redis alone."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from chatagent.redis.directory import Announcer, Directory
from chatagent.redis.lease import Leases
from tests.redis.chat import KEYS, claimed, gateway, work

HOUR_S = 3600.0


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the clock of this process."""
    real = time.time
    return lambda by_s: monkeypatch.setattr(time, "time", lambda: real() + by_s)


@pytest.mark.parametrize("by_s", [HOUR_S, -HOUR_S])
def test_a_dead_turn_is_found_in_time_whatever_the_clocks_of_machines_say(
    redis_url: str, jump: Callable[[float], None], by_s: float
) -> None:
    with gateway(redis_url) as side:
        session, other = side.create("c1"), side.create("c2")
        jump(by_s)
        side.say(session)
        side.say(other)

        async def die(one: Leases, two: Leases) -> None:
            jump(by_s)
            claim = await claimed(one, session)
            assert await one.admit("support", session.id, 1)
            await one.renew([claim])
            jump(0)
            assert set(await two.overdue()) == {other.id}, "its task has never come"
            jump(-by_s)
            while set(await two.overdue()) != {session.id, other.id}:
                pass
            assert {each.state for each in await two.settle([session.id, other.id])} == {"queued"}
            assert await two.admit("support", session.id, 1)

        work(redis_url, die, lease_s=0.2, grace_s=0)


def test_a_worker_whose_clock_is_wrong_is_seen_to_live(redis_url: str, jump: Callable[[float], None]) -> None:
    with gateway(redis_url) as side:

        async def announce(one: Leases, _: Leases) -> None:
            jump(-HOUR_S)
            await Announcer(one.client, KEYS, "w1").announce({"support": {"queue": "turns"}})
            jump(HOUR_S)

        work(redis_url, announce)
        directory = Directory(side.client, KEYS)
        assert directory.live_workers() == ["w1"]
        assert [card.online for card in directory.agents()] == [True]
        (card,) = [directory.agent("support")]
        assert card is not None and card.online
