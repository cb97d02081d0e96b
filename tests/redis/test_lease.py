from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from chatagent.errors import LeaseLost
from chatagent.redis.claim import Holder, claim_command
from chatagent.redis.lease import Leases
from chatagent.redis.script import run, run_async
from chatagent.runtime.conversation import Changes
from chatagent.runtime.port import Batch, Held
from tests.redis.chat import KEYS, claimed, ending, gateway, work


def test_of_two_workers_that_claim_at_once_exactly_one_gets_the_turn(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session)

        async def race(one: Leases, two: Leases) -> int:
            claims = await asyncio.gather(*[store.claim(session.id) for store in (one, two) * 10])
            return sum(claim is not None for claim in claims)

        assert work(redis_url, race) == 1
        assert side.controls(session) == ["turn-start"]


def test_a_claim_whose_reply_was_lost_is_answered_again(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session)
        command = claim_command(KEYS, session.id, Holder("w1", 15_000))
        (first,), (again,) = run(side.client, command), run(side.client, command)
        controls = side.controls(session)
    assert first == again
    assert controls == ["turn-start"]


def test_a_claim_brings_all_that_the_turn_needs(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session, "hello")

        async def look(store: Leases, _: Leases) -> None:
            claim = await claimed(store, session)
            assert (claim.chat_id, claim.agent, claim.turn, claim.attempt) == ("c1", "support", 0, 1)
            assert (claim.user, claim.tags, claim.history, claim.tail) == ("ada", ("vip",), [], [])
            assert claim.record.payload["message"]["parts"][0]["text"] == "hello"
            assert claim.run_id.startswith("run_")

        work(redis_url, look)


def test_a_warm_worker_gets_no_history_and_keeps_its_run(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session)

        async def turns(one: Leases, two: Leases) -> None:
            first = await claimed(one, session)
            await one.commit(ending(first, messages=[{"id": "a"}]))
            side.say(session)
            second = await one.claim(session.id, known_epoch=first.epoch)
            assert second is not None
            assert (second.history, second.run_id) == (None, first.run_id)
            await one.commit(ending(second, messages=[{"id": "b"}]))
            side.say(session)
            third = await claimed(two, session)
            assert third.history == [{"id": "a"}, {"id": "b"}]
            assert third.run_id != first.run_id
            assert third.previous_run_id == first.run_id

        work(redis_url, turns)


def test_a_batch_is_written_once_however_often_it_comes(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session)

        async def write(store: Leases, _: Leases) -> None:
            claim = await claimed(store, session)
            batch = Batch(session.id, claim.epoch, 1, [b'{"type":"start"}', b'{"type":"start-step"}'])
            for _attempt in range(3):
                assert await store.append([batch]) == [Held(stopped=False)]

        work(redis_url, write)
        records = side.outbox.read(session.id, 0)
    assert [(record.seq, record.raw) for record in records] == [(1, b'{"type":"start"}'), (2, b'{"type":"start-step"}')]


def test_a_batch_after_a_gap_is_refused(redis_url: str) -> None:
    """Redis came back without our last second of writes: the log counts, not our memory."""
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session)

        async def write(store: Leases, _: Leases) -> bool:
            claim = await claimed(store, session)
            (answer,) = await store.append([Batch(session.id, claim.epoch, 2, [b'{"type":"start"}'])])
            return isinstance(answer, LeaseLost)

        assert work(redis_url, write) is True


def test_a_worker_that_lost_its_lease_writes_nothing(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session)

        async def fenced(one: Leases, two: Leases) -> None:
            old = await claimed(one, session)
            side.client.hset(KEYS.session(session.id), "lease_until", 1)
            new = await claimed(two, session)
            assert (new.epoch, new.attempt) == (old.epoch + 1, 2)
            answers = await one.append([Batch(session.id, old.epoch, 1, [b'{"type":"start"}'])])
            answers += await one.renew([old])
            assert all(isinstance(answer, LeaseLost) for answer in answers)
            with pytest.raises(LeaseLost):
                await one.commit(ending(old))
            assert (await one.hand_back(old)).state == "lost"
            (held,) = await two.renew([new])
            assert held == Held(stopped=False, unread=0)

        work(redis_url, fenced)
        assert side.controls(session) == ["turn-start", "turn-start"]


def test_two_commits_of_one_turn_are_one(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session)

        async def commit(store: Leases, _: Leases) -> None:
            end = ending(await claimed(store, session), messages=[{"id": "u"}, {"id": "a"}])
            answers = await asyncio.gather(*[store.commit(end) for _ in range(5)])
            assert len(set(answers)) == 1

        work(redis_url, commit)
        snapshot = side.history.read(session.id)
        assert snapshot.messages == [{"id": "u"}, {"id": "a"}]
        assert side.controls(session) == ["turn-start", None, "turn-complete"]
    assert (snapshot.session.status, snapshot.session.turn, snapshot.unread) == ("idle", 1, [])


def test_a_commit_edits_the_history_in_place(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()

        async def turns(store: Leases, _: Leases) -> None:
            for edit in (
                Changes(-1, [], [{"id": n} for n in "abcd"]),
                Changes(-1, [(1, {"id": "B"})], []),
                Changes(2, [], [{"id": "x"}]),
                Changes(0, [], [{"id": "y"}]),
            ):
                side.say(session)
                end = ending(await claimed(store, session))
                await store.commit(type(end)(end.claim, edit, end.records, end.headers, end.fields, end.warm_s))
                seen.append("".join(message["id"] for message in side.history.read(session.id).messages))

        seen: list[str] = []
        work(redis_url, turns)
    assert seen == ["abcd", "aBcd", "aBx", "y"]


def test_a_commit_with_unread_messages_asks_for_the_next_turn(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session, "one")
        side.say(session, "two")

        async def commit(store: Leases, _: Leases) -> None:
            first = await store.commit(ending(await claimed(store, session)))
            assert (first.next.state, first.next.agent, first.next.queue) == ("queued", "support", "queue.w1")
            second = await store.commit(ending(await claimed(store, session)))
            assert second.next.state == "idle"
            assert await store.claim(session.id) is None

        work(redis_url, commit)


def test_the_log_keeps_the_last_turn_and_its_numbers(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()

        async def turns(store: Leases, _: Leases) -> None:
            for _turn in range(3):
                side.say(session)
                await store.commit(ending(await claimed(store, session)))

        work(redis_url, turns)
        kept = [record.seq for record in side.outbox.read(session.id, -1)]
        assert side.client.xlen(KEYS.inbox(session.id)) == 0
    assert kept == [5, 6, 7, 8], "the turn-complete of turn 2, and turn 3"


def test_a_dead_attempt_leaves_its_records_to_the_next(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session)

        async def recover(one: Leases, two: Leases) -> None:
            dead = await claimed(one, session)
            await one.append([Batch(session.id, dead.epoch, 1, [b'{"type":"start"}'])])
            side.client.hset(KEYS.session(session.id), "lease_until", 1)
            claim = await claimed(two, session)
            assert claim.attempt == 2
            assert claim.tail[1:] == [b'{"type":"start"}']
            assert claim.tail[0].startswith(b"#turn-start ")

        work(redis_url, recover)


def test_handing_back_is_no_attempt(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session)

        async def hand(one: Leases, two: Leases) -> None:
            claim = await claimed(one, session)
            await one.append([Batch(session.id, claim.epoch, 1, [b'{"type":"start"}'])])
            settled = await one.hand_back(claim)
            assert (settled.state, settled.agent, settled.queue) == ("queued", "support", "turns")
            again = await claimed(two, session)
            assert again.attempt == 1
            assert again.tail[1:] == [b'{"type":"start"}']

        work(redis_url, hand)


def test_the_sweeper_finds_a_dead_turn_and_hands_it_out_once(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session)

        async def sweep(one: Leases, two: Leases) -> None:
            await claimed(one, session)
            assert (await two.settle([session.id]))[0].state == "held"
            side.client.hset(KEYS.session(session.id), "lease_until", 1)
            side.client.zadd(KEYS.leases, {session.id: 1})
            assert await two.overdue() == [session.id]
            settled = await asyncio.gather(*[store.settle([session.id]) for store in (one, two)])
            states = [each.state for (each,) in settled]
            assert sorted(states) == ["queued", "waiting"]

        work(redis_url, sweep)


def test_the_sweeper_finds_a_message_whose_task_was_never_sent(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session)

        async def sweep(store: Leases, _: Leases) -> None:
            assert await store.overdue() == [], "it may still come"
            side.client.zadd(KEYS.queued, {session.id: 1})
            side.client.hset(KEYS.session(session.id), "queued_at", 1)
            assert await store.overdue() == [session.id]
            assert (await store.settle([session.id]))[0].state == "queued"

        work(redis_url, sweep)


def test_the_sweeper_forgets_what_needs_nothing(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.client.zadd(KEYS.leases, {session.id: 1, "session_gone": 1})
        side.client.zadd(KEYS.queued, {session.id: 1, "session_gone": 1})

        async def sweep(store: Leases, _: Leases) -> list[str]:
            states = [settled.state for settled in await store.settle([session.id, "session_gone"])]
            assert await store.overdue() == []
            return list(states)

        assert work(redis_url, sweep) == ["idle", "missing"]


def test_an_index_entry_that_a_send_renewed_is_not_forgotten(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()

        async def sweep(store: Leases, _: Leases) -> None:
            side.client.zadd(KEYS.queued, {session.id: 2})
            await run_async(store.client, *store._forget_queued(session.id, 1.0))

        work(redis_url, sweep)
        assert side.client.zscore(KEYS.queued, session.id) == 2


def test_a_create_by_two_clients_is_one_session(redis_url: str) -> None:
    with gateway(redis_url) as one, gateway(redis_url) as two:
        first, made = one.sessions.create("c9", "support", queue="turns")
        second, made_again = two.sessions.create("c9", "other", queue="turns")
        assert (first.id, made, made_again, second.agent) == (second.id, True, False, "support")
        assert one.sessions.find(first.id) == one.sessions.find("c9")


def test_listings_are_by_user_and_tag_and_last_activity(redis_url: str) -> None:
    with gateway(redis_url) as side:
        for chat_id in ("a", "b", "c"):
            side.create(chat_id)
        side.sessions.create("other", "support", queue="turns", user="bob")
        session = side.sessions.get("a")
        side.say(session)

        async def answer(store: Leases, _: Leases) -> None:
            await store.commit(ending(await claimed(store, session)))

        work(redis_url, answer)
        assert side.sessions.list("user", "ada")[0].chat_id == "a"
        assert {found.chat_id for found in side.sessions.list("tag", "vip")} == {"a", "b", "c"}
        assert len(side.sessions.list()) == 4
        assert len(side.sessions.list(limit=2)) == 2


def test_a_close_by_many_clients_at_once_is_one_close(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()

        def close(n: int) -> str | None:
            with gateway(redis_url) as other:
                return other.sessions.close(session.id, f"reason {n}")

        with ThreadPoolExecutor(8) as pool:
            reasons = set(pool.map(close, range(16)))
        assert len(reasons) == 1, "the first reason counts"
        assert side.controls(session) == ["session-closed"]


def test_a_renewal_that_races_with_a_take_over_keeps_or_loses_the_lease_but_never_shares_it(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session)

        async def race(one: Leases, two: Leases) -> None:
            old = await claimed(one, session)
            for _ in range(20):
                side.client.hset(KEYS.session(session.id), "lease_until", 1)
                (held,), taken = await asyncio.gather(one.renew([old]), two.claim(session.id))
                assert isinstance(held, LeaseLost) or taken is None
                if taken is not None:
                    (after,) = await one.renew([old])
                    assert isinstance(after, LeaseLost)
                    return

        work(redis_url, race)
