"""What the end of a turn writes, and what its last hooks may still change."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chatagent.errors import Closed, LeaseLost
from chatagent.record import control_headers
from chatagent.redis.lease import Leases
from chatagent.runtime.conversation import Changes
from tests.redis.chat import KEYS, claimed, ending, gateway, work


def _asks(state: str) -> dict[str, Any]:
    return {"id": "a", "role": "assistant", "parts": [{"type": "tool-pay", "toolCallId": "t1", "state": state}]}


def test_consumed_messages_leave_the_queue_and_are_named(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        for text in "abcd":
            side.say(session, text)

        async def answer(store: Leases, _: Leases) -> None:
            claim = await claimed(store, session)
            end = ending(claim, consumed=(3, 1))
            assert (await store.commit(end)).next.state == "queued"
            assert await store.commit(end) == await store.commit(end)
            assert side.queued(session) == ["c"]
            later = await claimed(store, session)
            assert (await store.commit(ending(later))).next.state == "idle"
            assert side.sessions.get(session.id).in_cursor == 3

        work(redis_url, answer)
        completes = [record for record in side.outbox.read(session.id, -1) if record.control == "turn-complete"]
    assert control_headers(completes[0].raw)["consumed"] == [1, 3]
    assert "consumed" not in control_headers(completes[1].raw)


def test_a_turn_that_consumed_all_that_waited_leaves_the_chat_idle(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        for text in "ab":
            side.say(session, text)

        async def answer(store: Leases, _: Leases) -> None:
            claim = await claimed(store, session)
            side.inbox.push(session.id, "stop", {})
            assert (await store.commit(ending(claim, consumed=(1,)))).next.state == "idle"
            assert await store.claim(session.id) is None
            assert side.say(session, "c").enqueue is True
            assert (await claimed(store, session)).record.seq == 3

        work(redis_url, answer)


def test_no_message_is_lost_between_a_turn_that_ends_and_one_that_arrives(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()

        async def race(store: Leases, _: Leases) -> None:
            side.say(session)
            for _turn in range(60):
                claim = await claimed(store, session)
                committed, pushed = await asyncio.gather(
                    store.commit(ending(claim)), asyncio.to_thread(side.say, session)
                )
                # Exactly one of the two enqueues the next turn.
                assert (committed.next.state == "queued") != pushed.enqueue
            assert (await claimed(store, session)).record.seq == 60

        work(redis_url, race)


def test_a_turn_may_close_its_session(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session)

        async def close(store: Leases, _: Leases) -> None:
            end = ending(await claimed(store, session), close="done")
            committed = await store.commit(end)
            assert committed == await store.commit(end)
            assert committed.seq == 2, "that of the turn-complete"

        work(redis_url, close)
        assert side.controls(session) == ["turn-start", None, "turn-complete", "session-closed"]
        now = side.sessions.get(session.id)
        assert (now.closed, now.closed_reason, now.complete_seq, now.out_seq) == (True, "done", 2, 3)
        with pytest.raises(Closed):
            side.say(session)
        assert side.sessions.close(session.id, "later") == "done"
        assert [found.id for found in side.sessions.list("user", "ada", status="closed")] == [session.id]


def test_of_a_turn_and_a_client_that_close_at_once_one_does(redis_url: str) -> None:
    with gateway(redis_url) as side:

        async def race(store: Leases, _: Leases) -> None:
            for n in range(20):
                session = side.create(f"chat {n}")
                side.say(session)
                claim = await claimed(store, session)
                close = asyncio.to_thread(side.sessions.close, session.id, "client")
                reason = (await asyncio.gather(store.commit(ending(claim, close="turn")), close))[1]
                assert side.controls(session).count("session-closed") == 1
                assert side.sessions.get(session.id).closed_reason == reason

        work(redis_url, race)


@pytest.mark.parametrize(
    ("state", "outcome", "standing"),
    [
        ("approval-requested", "completed", "waiting"),
        ("input-available", "completed", "waiting"),
        ("output-available", "completed", "idle"),
        ("approval-requested", "failed", "idle"),
    ],
)
def test_a_chat_that_waits_for_its_user_says_so(redis_url: str, state: str, outcome: str, standing: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session)

        async def ask(store: Leases, _: Leases) -> None:
            claim = await claimed(store, session)
            headers = {"in": 0, "turn": 0, "outcome": outcome}
            await store.commit(ending(claim, messages=[{"id": "u"}, _asks(state)], headers=headers))
            assert side.sessions.get(session.id).standing == standing
            assert len(side.sessions.list("tag", "vip", status="waiting")) == (standing == "waiting")
            side.say(session)
            assert side.sessions.list(status="waiting") == []
            claim = await claimed(store, session)
            assert side.sessions.list(status="waiting") == []
            await store.commit(ending(claim, messages=[{"id": "b"}]))
            assert side.sessions.list(status="waiting") == []

        work(redis_url, ask)
        assert side.client.zcard(KEYS.listing(status="waiting")) == 0


def test_a_mark_is_kept_although_its_turn_dies(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session)

        async def mark(one: Leases, two: Leases) -> None:
            claim = await claimed(one, session)
            await one.mark(claim, {"chat_started": b"1", "lane": b'{"summaries":[]}'})
            await one.mark(claim, {})
            side.kill_worker(session)
            again = await claimed(two, session)
            assert (again.chat_started, again.lane) == (True, {"summaries": []})

        work(redis_url, mark)


def test_the_last_hooks_may_change_what_was_committed(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session)

        async def amend(store: Leases, _: Leases) -> None:
            claim = await claimed(store, session)
            more = Changes(keep=1, replaced=[(0, {"id": "U"})], appended=[{"id": "c"}])
            assert await store.amend(claim, more, {}) is False, "not before the commit"
            await store.commit(ending(claim, messages=[{"id": "u"}, {"id": "a"}]))
            assert await store.amend(claim, more, {"locals": b'{"n":1}'}) is True
            assert side.history.read(session.id).messages == [{"id": "U"}, {"id": "c"}]
            side.say(session)
            later = await claimed(store, session)
            assert later.locals == {"n": 1}
            assert await store.amend(claim, more, {}) is False, "the chat has moved on"
            await store.commit(ending(later))
            assert await store.amend(claim, more, {}) is False
            assert side.history.read(session.id).messages == [{"id": "U"}, {"id": "c"}]

        work(redis_url, amend)


def test_an_amendment_is_seen_by_the_next_turn_or_refused(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session)

        async def race(one: Leases, two: Leases) -> None:
            claim = await claimed(one, session)
            for n in range(30):
                await one.commit(ending(claim))
                side.say(session)
                more = Changes(-1, [], [{"id": f"m{n}"}])
                amended, after = await asyncio.gather(one.amend(claim, more, {}), claimed(two, session))
                assert ({"id": f"m{n}"} in (after.history or [])) == amended
                claim = after

        work(redis_url, race)


def test_of_two_that_commit_with_different_leases_the_newer_does(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()

        async def race(one: Leases, two: Leases) -> None:
            for _turn in range(20):
                side.say(session)
                old = await claimed(one, session)
                side.kill_worker(session)
                new = await claimed(two, session)
                done = await asyncio.gather(
                    one.commit(ending(old, messages=[{"id": "old"}])),
                    two.commit(ending(new, messages=[{"id": "new"}])),
                    return_exceptions=True,
                )
                assert isinstance(done[0], LeaseLost)
            assert {message["id"] for message in side.history.read(session.id).messages} == {"new"}

        work(redis_url, race)
