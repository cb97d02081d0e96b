"""The queue of a chat: listed, edited, cancelled, taken into a running turn, injected into."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from chatagent.errors import BadRequest, LeaseLost, NotFound
from chatagent.redis.inbox import Inbox
from chatagent.redis.lease import Leases
from chatagent.redis.session import Session
from tests.redis.chat import KEYS, Gateway, claimed, ending, gateway, submit, work


def _fill(side: Gateway, session: Session, *texts: str) -> None:
    for text in texts:
        side.say(session, text, message_id=f"m-{text}")


def test_the_queue_holds_what_can_still_be_changed(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        _fill(side, session, "a", "b", "c")
        assert side.queued(session) == ["a", "b", "c"]

        async def answer(store: Leases, _: Leases) -> None:
            claim = await claimed(store, session)
            assert side.queued(session) == ["b", "c"]
            side.inbox.push(session.id, "stop", {})
            assert side.queued(session) == ["b", "c"]
            side.inbox.edit(session.id, "m-c", busy="steer")
            assert [record.message_id for record in await store.take(claim, {"steer"})] == ["m-c"]
            assert side.queued(session) == ["b"]
            await store.commit(ending(claim, consumed=(2,)))
            assert side.queued(session) == ["b"]

        work(redis_url, answer)
        with pytest.raises(NotFound):
            side.inbox.queue("session_nope")


def test_an_edited_message_keeps_its_place_and_is_what_everybody_reads(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        _fill(side, session, "a", "b", "c")
        side.inbox.edit(session.id, "m-b", submit("B", "m-b"), busy="steer")
        side.inbox.edit(session.id, 0, submit("A", "m-a"))
        assert side.queued(session) == ["A", "B", "c"]
        assert [record.message_id for record in side.history.read(session.id).unread] == ["m-a", "m-b", "m-c"]

        async def read(store: Leases, _: Leases) -> list[str]:
            claim = await claimed(store, session)
            records = [claim.record, *claim.waiting, *await store.take(claim, {"steer"})]
            assert [record.busy for record in records] == ["enqueue", "steer", "enqueue", "steer"]
            await store.commit(ending(claim, consumed=(1,)))
            later = await claimed(store, session)
            return [record.payload["message"]["parts"][0]["text"] for record in [*records, later.record]]

        assert work(redis_url, read) == ["A", "B", "c", "B", "c"]
        assert side.client.exists(KEYS.edits(session.id)) == 0, "edits go with their records"


def test_an_edited_message_is_found_by_its_new_id(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        _fill(side, session, "a")
        side.inbox.edit(session.id, "m-a", submit("b", "m-b"))
        with pytest.raises(NotFound):
            side.inbox.cancel(session.id, "m-a")
        side.inbox.cancel(session.id, "m-b")
        assert side.queued(session) == []


@pytest.mark.parametrize("verb", ["edit", "cancel"])
@pytest.mark.parametrize(
    "what", ["running", "taken", "answered", "consumed", "cancelled", "crashed", "unknown", "stop"]
)
def test_what_is_being_answered_or_gone_cannot_be_changed(redis_url: str, verb: str, what: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        _fill(side, session, "a", "b", "c")

        async def prepare(one: Leases, two: Leases) -> int:
            claim = await claimed(one, session)
            match what:
                case "taken":
                    await one.take(claim)
                    return 1
                case "answered" | "consumed":
                    await one.commit(ending(claim, consumed=(2,)))
                    return 0 if what == "answered" else 2
                case "cancelled":
                    side.inbox.cancel(session.id, 1)
                    return 1
                case "crashed":
                    await one.hand_back(claim)
                case "unknown":
                    return 7
                case "stop":
                    return side.inbox.push(session.id, "stop", {}).seq
            return 0

        seq = work(redis_url, prepare)
        with pytest.raises(NotFound):
            if verb == "edit":
                side.inbox.edit(session.id, seq, submit("x"))
            else:
                side.inbox.cancel(session.id, seq)


def test_a_message_that_waits_cannot_be_made_to_be_rejected(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        _fill(side, session, "a")
        with pytest.raises(BadRequest):
            side.inbox.edit(session.id, 0, busy="reject")


def test_a_cancelled_message_is_never_answered_and_its_readers_are_told(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        _fill(side, session, "a", "b", "c")
        side.inbox.cancel(session.id, "m-b")
        side.inbox.cancel(session.id, "m-a")
        assert side.queued(session) == ["c"]
        assert side.sessions.get(session.id).status == "queued"
        assert side.controls(session) == ["message-cancelled"] * 2

        async def answer(store: Leases, _: Leases) -> int:
            claim = await claimed(store, session)
            assert (await store.commit(ending(claim))).next.state == "idle"
            return claim.record.seq

        assert work(redis_url, answer) == 2


def test_a_chat_whose_only_message_was_cancelled_is_idle_at_once(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        _fill(side, session, "a")
        side.inbox.push(session.id, "stop", {})
        side.inbox.cancel(session.id, 0)
        assert side.sessions.get(session.id).status == "idle"
        assert side.history.read(session.id).unread == []

        async def claim(store: Leases, _: Leases) -> None:
            assert await store.claim(session.id) is None, "its task finds nothing"
            assert (await store.settle([session.id]))[0].state == "idle"
            assert side.say(session, "again").enqueue is True
            assert (await claimed(store, session)).stopped is False

        work(redis_url, claim)


def test_a_message_cancelled_behind_the_running_turn_leaves_nothing_to_do(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        _fill(side, session, "a", "b")

        async def answer(store: Leases, _: Leases) -> None:
            claim = await claimed(store, session)
            side.inbox.cancel(session.id, "m-b")
            assert side.sessions.get(session.id).status == "running"
            assert (await store.commit(ending(claim))).next.state == "idle"

        work(redis_url, answer)
        assert side.client.exists(KEYS.edits(session.id)) == 0


def test_of_many_that_cancel_one_message_one_does(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        _fill(side, session, "a")

        def cancel(_: int) -> bool:
            with gateway(redis_url) as other:
                try:
                    other.inbox.cancel(session.id, 0)
                except NotFound:
                    return False
                return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(cancel, range(16))) == 1
        assert side.controls(session) == ["message-cancelled"]


@pytest.mark.parametrize("rival", ["claim", "take"])
def test_a_message_is_cancelled_or_answered_but_not_both(redis_url: str, rival: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        outcomes = set()

        async def cancels(seq: int) -> bool:
            try:
                await asyncio.to_thread(side.inbox.cancel, session.id, seq)
            except NotFound:
                return False
            return True

        async def race(store: Leases, _: Leases) -> None:
            for _turn in range(40):
                first = side.say(session, "first").seq
                if rival == "claim":
                    cancelled, claim = await asyncio.gather(cancels(first), store.claim(session.id))
                    assert cancelled == (claim is None)
                else:
                    claim = await claimed(store, session)
                    second = side.say(session, "second").seq
                    cancelled, taken = await asyncio.gather(cancels(second), store.take(claim))
                    assert cancelled == (taken == [])
                outcomes.add(cancelled)
                if claim is not None:
                    consumed = () if rival == "claim" or cancelled else (second,)
                    assert (await store.commit(ending(claim, consumed=consumed))).next.state == "idle"
                assert side.sessions.get(session.id).status == "idle"

        work(redis_url, race)
        assert outcomes


@pytest.mark.parametrize("rival", ["claim", "take"])
def test_an_edit_is_seen_by_who_answers_or_refused(redis_url: str, rival: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()

        async def edits(seq: int) -> bool:
            try:
                await asyncio.to_thread(side.inbox.edit, session.id, seq, submit("edited"))
            except NotFound:
                return False
            return True

        async def race(store: Leases, _: Leases) -> None:
            for _turn in range(40):
                first = side.say(session, "plain").seq
                if rival == "claim":
                    edited, claim = await asyncio.gather(edits(first), claimed(store, session))
                    record = claim.record
                else:
                    claim = await claimed(store, session)
                    second = side.say(session, "plain").seq
                    edited, (record,) = await asyncio.gather(edits(second), store.take(claim))
                text = record.payload["message"]["parts"][0]["text"]
                assert text == ("edited" if edited else "plain")
                await store.commit(ending(claim, consumed=() if rival == "claim" else (record.seq,)))

        work(redis_url, race)


def test_what_a_turn_took_but_did_not_answer_is_answered_later(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        _fill(side, session, "a", "b", "c")

        async def answer(one: Leases, two: Leases) -> None:
            dead = await claimed(one, session)
            assert [record.seq for record in await one.take(dead)] == [1, 2]
            assert [record.seq for record in await one.take(dead)] == [1, 2], "a repeated take says the same"
            side.kill_worker(session)
            claim = await claimed(two, session)
            assert side.queued(session) == ["b", "c"], "a new attempt has taken nothing yet"
            with pytest.raises(LeaseLost):
                await one.take(dead)
            with pytest.raises(LeaseLost):
                await one.mark(dead, {"chat_started": b"1"})
            await two.commit(ending(claim, consumed=(2,)))
            later = await claimed(two, session)
            assert (later.record.seq, later.waiting) == (1, ())
            assert (await two.commit(ending(later))).next.state == "idle"

        work(redis_url, answer)


def test_a_take_is_of_messages_with_the_wanted_policies(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session, "a")
        side.say(session, "b", busy="merge")
        side.say(session, "c", busy="steer")
        side.inbox.push(session.id, "action", {"action": {}})

        async def take(store: Leases, _: Leases) -> list[list[int]]:
            claim = await claimed(store, session)
            wanted = [set(), {"merge"}, {"steer"}, {"merge", "steer"}, None]
            return [[record.seq for record in await store.take(claim, busy)] for busy in wanted]  # type: ignore[arg-type]

        assert work(redis_url, take) == [[], [1], [2], [1, 2], [1, 2]]


def test_a_claim_brings_at_most_a_hundred_that_wait(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        _fill(side, session, *[str(n) for n in range(130)])
        side.inbox.push(session.id, "stop", {})

        async def claim(store: Leases, _: Leases) -> list[int]:
            return [record.seq for record in (await claimed(store, session)).waiting]

        assert work(redis_url, claim) == list(range(1, 101))


def test_injected_messages_reach_the_next_turn_once_in_order(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.inbox.inject(session.id, [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}])
        side.say(session)

        async def read(store: Leases, _: Leases) -> None:
            claim = await claimed(store, session)
            assert [message["content"] for message in claim.injected] == ["one", "two"]
            await store.inject(session.id, [{"role": "user", "content": "three"}])
            end = ending(claim, injected=2)
            await store.commit(end)
            await store.commit(end)
            side.say(session)
            assert [message["content"] for message in (await claimed(store, session)).injected] == ["three"]
            with pytest.raises(NotFound):
                await store.inject("session_nope", [{}])

        work(redis_url, read)
        with pytest.raises(NotFound):
            Inbox(side.client, KEYS).inject("session_nope", [{}])
