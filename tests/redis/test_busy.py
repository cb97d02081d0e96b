"""Messages that arrive while a chat is busy."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chatagent.errors import Busy as BusyError
from chatagent.record import Busy
from chatagent.redis.lease import Leases
from chatagent.runtime.port import Batch, Held
from tests.redis.chat import KEYS, Gateway, claimed, ending, gateway, work


def _bells(side: Gateway) -> Any:
    bells = side.client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call,unused-ignore]
    bells.subscribe(KEYS.worker_channel("w1"))
    bells.get_message(timeout=5)
    return bells


def _kinds(bells: Any, count: int) -> list[str]:
    found: list[str] = []
    while len(found) < count:
        message = bells.get_message(timeout=5)
        assert message is not None, found
        found.append(message["data"].decode().split(" ")[0])
    return found


@pytest.mark.parametrize("status", ["queued", "running"])
def test_a_busy_chat_that_rejects_takes_no_message(redis_url: str, status: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        assert side.say(session, busy="reject").enqueue is True, "an idle chat takes it"

        async def send(store: Leases, _: Leases) -> None:
            if status == "running":
                await claimed(store, session)
            with pytest.raises(BusyError):
                side.say(session, busy="reject")
            side.inbox.push(session.id, "message", {"trigger": "regenerate-message"}, busy="reject")

        work(redis_url, send)
        assert side.sessions.get(session.id).in_seq == 1


def test_of_messages_that_race_for_an_idle_chat_one_is_taken(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()

        def send(n: int) -> bool:
            with gateway(redis_url) as other:
                try:
                    other.say(session, f"message {n}", busy="reject")
                except BusyError:
                    return False
                return True

        with ThreadPoolExecutor(8) as pool:
            taken = list(pool.map(send, range(16)))
        assert sum(taken) == 1
        assert len(side.inbox.queue(session.id)) == 1


@pytest.mark.parametrize(("busy", "forgotten"), [("interrupt", False), ("rollback", True)])
def test_an_interrupting_message_stops_the_running_turn_alone(redis_url: str, busy: Busy, forgotten: bool) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session, "first")
        bells = _bells(side)

        async def interrupt(store: Leases, _: Leases) -> None:
            claim = await claimed(store, session)
            side.say(session, "second", busy=busy)
            held = Held(stopped=True, unread=1, forgotten=forgotten)
            assert await store.renew([claim]) == [held]
            assert await store.append([Batch(session.id, claim.epoch, 1, [b'{"type":"start"}'])]) == [held]
            await store.commit(ending(claim))
            after = await claimed(store, session)
            assert (after.stopped, after.forgotten, after.record.busy) == (False, False, busy)

        work(redis_url, interrupt)
        assert _kinds(bells, 2) == ["stop", "message"]
        bells.close()


def test_an_interrupted_turn_that_waits_is_claimed_as_stopped(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session, "first")
        side.say(session, "second", busy="rollback")

        async def look(store: Leases, _: Leases) -> list[tuple[bool, bool]]:
            first = await claimed(store, session)
            await store.commit(ending(first))
            second = await claimed(store, session)
            return [(claim.stopped, claim.forgotten) for claim in (first, second)]

        assert work(redis_url, look) == [(True, True), (False, False)]


def test_a_message_that_interrupts_an_idle_chat_is_just_answered(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session, busy="interrupt")

        async def look(store: Leases, _: Leases) -> bool:
            return (await claimed(store, session)).stopped

        assert work(redis_url, look) is False


def test_a_preload_is_nothing_that_makes_a_chat_busy(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.inbox.push(session.id, "preload", {})

        async def look(store: Leases, _: Leases) -> None:
            claim = await claimed(store, session)
            side.say(session, "first", busy="reject")
            assert await store.renew([claim]) == [Held(stopped=False, unread=1)]
            with pytest.raises(BusyError):
                side.say(session, "second", busy="reject")
            side.say(session, "third", busy="interrupt")
            assert await store.renew([claim]) == [Held(stopped=False, unread=2)]
            await store.commit(ending(claim, counts=False, silent=True))
            assert (await claimed(store, session)).stopped is True

        work(redis_url, look)


def test_the_agents_policy_is_that_of_messages_that_name_none(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session, _ = side.sessions.create("c1", "support", queue="turns", busy="merge")
        assert session.busy == "merge"
        side.say(session, "first")

        async def look(store: Leases, _: Leases) -> list[str]:
            first = await store.claim(session.id, busy="steer")
            assert first is not None
            side.say(session, "its own")
            side.say(session, "named", busy="enqueue")
            side.inbox.push(session.id, "message", {"trigger": "regenerate-message"})
            side.inbox.push(session.id, "action", {"action": {}})
            return [first.record.busy, *[record.busy for record in side.inbox.queue(session.id)]]

        assert work(redis_url, look) == ["merge", "steer", "enqueue", "enqueue", "enqueue"]
        assert side.sessions.get(session.id).busy == "steer"


def test_a_worker_hears_of_every_record(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session)
        bells = _bells(side)

        async def hear(store: Leases, _: Leases) -> None:
            await claimed(store, session)
            side.say(session)
            side.inbox.push(session.id, "action", {"action": {}})
            side.inbox.push(session.id, "stop", {})
            side.inbox.inject(session.id, [{"role": "user", "content": "psst"}])
            side.inbox.edit(session.id, 1, busy="steer")
            side.inbox.edit(session.id, 1, busy="interrupt")

        work(redis_url, hear)
        expected = ["message", "action", "stop", "inject", "message", "stop", "message"]
        assert _kinds(bells, len(expected)) == expected
        bells.close()


def test_a_message_that_interrupts_a_turn_that_ends_meanwhile_stops_none_but_it(redis_url: str) -> None:
    """Whatever comes first, the interrupting message itself is never stopped."""
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session)

        async def race(store: Leases, _: Leases) -> None:
            claim = await claimed(store, session)
            for _turn in range(20):
                say = asyncio.to_thread(side.say, session, "next", busy="interrupt")
                await asyncio.gather(store.commit(ending(claim)), say)
                claim = await claimed(store, session)
                assert claim.stopped is False

        work(redis_url, race)
