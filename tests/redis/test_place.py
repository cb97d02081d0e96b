"""How many sessions of an agent are answered at once, over all workers."""

from __future__ import annotations

import asyncio
import itertools

from chatagent.redis.lease import Leases
from tests.redis.chat import KEYS, claimed, gateway, work


def test_no_more_are_admitted_than_there_are_places(redis_url: str) -> None:
    async def race(one: Leases, two: Leases) -> None:
        asked = [store.admit("a", f"s{n}", 3) for n in range(20) for store in (one, two)[n % 2 : n % 2 + 1]]
        assert sum(await asyncio.gather(*asked)) == 3
        assert await one.admit("other", "s0", 1) is True, "other agents have places of their own"

    work(redis_url, race)


def test_who_has_a_place_keeps_it_when_asking_again(redis_url: str) -> None:
    async def ask(one: Leases, two: Leases) -> None:
        assert await one.admit("a", "s0", 1) is True
        assert await two.admit("a", "s0", 1) is True
        assert await one.admit("a", "s1", 1) is False
        assert await one.admit("a", "s1", 1) is False

    work(redis_url, ask)


def test_places_go_round_in_order_of_arrival(redis_url: str) -> None:
    async def in_order(one: Leases, two: Leases) -> None:
        names = [f"s{n}" for n in range(5)]
        assert await one.admit("a", names[0], 1) is True
        for name in names[1:]:
            assert await two.admit("a", name, 1) is False
        for holder, following in itertools.pairwise(names):
            assert await one.release("a", holder) == following
            assert await two.admit("a", "late", 1) is False, "the place is kept for who was called"
            assert await one.admit("a", following, 1) is True
        assert await one.release("a", names[-1]) == "late"

    work(redis_url, in_order)


def test_a_place_that_was_given_back_twice_is_given_away_once(redis_url: str) -> None:
    async def release(one: Leases, two: Leases) -> None:
        for n in range(4):
            await one.admit("a", f"s{n}", 1)
        assert await asyncio.gather(*[one.release("a", "s0") for _ in range(4)]) == ["s1", None, None, None]
        assert await one.admit("a", "s2", 1) is False

    work(redis_url, release)


def test_the_place_of_a_dead_worker_becomes_free(redis_url: str) -> None:
    with gateway(redis_url) as side:

        async def die(one: Leases, two: Leases) -> None:
            assert await one.admit("a", "s0", 1) is True
            assert await two.admit("a", "s1", 1) is False
            side.client.zadd(KEYS.places("a"), {"s0": 1})
            assert await two.admit("a", "s1", 1) is True

        work(redis_url, die)


def test_one_that_was_called_and_never_comes_holds_nobody_up_for_ever(redis_url: str) -> None:
    with gateway(redis_url) as side:

        async def vanish(one: Leases, two: Leases) -> None:
            assert await one.admit("a", "s0", 1) is True
            assert await one.admit("a", "gone", 1) is False
            assert await one.admit("a", "s2", 1) is False
            side.client.zadd(KEYS.places("a"), {"s0": 1})
            assert await two.admit("a", "s2", 1) is False, "the place is kept for who came first"
            side.client.zadd(KEYS.places("a"), {"gone": 1})
            assert await two.admit("a", "s2", 1) is True

        work(redis_url, vanish)


def test_a_place_is_kept_together_with_its_lease(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session)

        async def renew(store: Leases, _: Leases) -> None:
            assert await store.admit("support", session.id, 1) is True
            claim = await claimed(store, session)
            side.client.zadd(KEYS.places("support"), {session.id: 5})
            await store.renew([claim])
            assert float(side.client.zscore(KEYS.places("support"), session.id) or 0) > 5
            await store.release("support", session.id)
            await store.renew([claim])
            assert side.client.exists(KEYS.places("support")) == 0, "a place that was given back stays so"

        work(redis_url, renew)


def test_fewer_places_than_before_are_kept_to(redis_url: str) -> None:
    async def shrink(one: Leases, two: Leases) -> None:
        for n in range(3):
            assert await one.admit("a", f"s{n}", 3) is True
        assert await one.admit("a", "s3", 2) is False
        assert await one.admit("a", "s0", 2) is True
        assert await one.release("a", "s0") is None, "two of two places are still taken"
        assert await one.release("a", "s1") == "s3"

    work(redis_url, shrink)


def test_a_hundred_sessions_pass_through_three_places(redis_url: str) -> None:
    async def fleet(one: Leases, two: Leases) -> None:
        called: asyncio.Queue[str] = asyncio.Queue()
        for n in range(100):
            called.put_nowait(f"s{n}")
        inside: set[str] = set()
        most, done = 0, 0

        async def work_off(store: Leases) -> None:
            nonlocal most, done
            while done < 100:
                try:
                    session_id = await asyncio.wait_for(called.get(), 0.5)
                except TimeoutError:
                    continue
                if not await store.admit("a", session_id, 3):
                    continue
                inside.add(session_id)
                most = max(most, len(inside))
                await store.admit("a", session_id, 3)
                inside.discard(session_id)
                done += 1
                following = await store.release("a", session_id)
                if following is not None:
                    called.put_nowait(following)

        async with asyncio.timeout(20):
            await asyncio.gather(*[work_off(store) for store in (one, two) * 4])
        assert (done, most <= 3) == (100, True)

    work(redis_url, fleet)
