from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from chatagent.errors import Closed, NotFound, Retryable
from chatagent.redis.inbox import MAX_UNREAD, Inbox, Pushed
from chatagent.redis.lease import Leases
from chatagent.runtime.port import Held
from tests.redis.chat import KEYS, claimed, ending, gateway, submit, work


def test_a_send_is_numbered_and_enqueued_once(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        first, second = side.say(session), side.say(session)
    assert (first.seq, first.enqueue, first.queue, first.agent) == (0, True, "turns", "support")
    assert (second.seq, second.enqueue) == (1, False)


def test_sends_from_many_connections_get_every_number_once_and_one_task(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()

        def send(n: int) -> Pushed:
            with gateway(redis_url) as other:
                return other.say(session, f"message {n}")

        with ThreadPoolExecutor(8) as pool:
            pushed = list(pool.map(send, range(40)))
        unread = side.history.read(session.id).unread
    assert sorted(each.seq for each in pushed) == list(range(40))
    assert sum(each.enqueue for each in pushed) == 1
    assert [record.seq for record in unread] == list(range(40))


def test_the_same_part_sent_by_two_clients_at_once_is_one_record(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()

        def send(n: int) -> Pushed:
            with gateway(redis_url) as other:
                return other.say(session, part_id="p1")

        with ThreadPoolExecutor(8) as pool:
            pushed = list(pool.map(send, range(16)))
        assert {(each.seq, each.out_cursor) for each in pushed} == {(0, -1)}
        assert sum(each.duplicate for each in pushed) == 15
        assert len(side.history.read(session.id).unread) == 1


def test_the_cursor_of_a_send_is_before_anything_its_answer_emits(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        cursor = side.say(session).out_cursor

        async def answer(store: Leases, _: Leases) -> None:
            claim = await claimed(store, session)
            await store.commit(ending(claim))

        work(redis_url, answer)
        after = [record.control for record in side.outbox.read(session.id, cursor)]
        second = side.say(session)
    assert after == ["turn-start", None, "turn-complete"]
    assert second.out_cursor == 2


def test_a_warm_chat_is_enqueued_to_its_worker(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session)

        async def answer(store: Leases, _: Leases) -> None:
            await store.commit(ending(await claimed(store, session)))

        work(redis_url, answer)
        assert side.say(session).queue == "queue.w1"


def test_a_send_to_a_chat_whose_worker_died_is_enqueued_again(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session)

        async def die(store: Leases, _: Leases) -> None:
            await claimed(store, session)

        work(redis_url, die)
        side.client.hset(KEYS.session(session.id), "lease_until", 1)
        again = side.say(session)
    assert (again.enqueue, again.queue) == (True, "turns")


@pytest.mark.parametrize(("status", "target"), [("queued", 0), ("running", 0)])
def test_a_stop_is_for_the_turn_that_waits_or_runs(redis_url: str, status: str, target: int) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session, "first")
        side.say(session, "second")

        async def claim_after_stop(store: Leases, other: Leases) -> bool:
            if status == "running":
                claim = await claimed(store, session)
                side.inbox.push(session.id, "stop", {})
                (held,) = await store.renew([claim])
                return isinstance(held, Held) and held.stopped
            side.inbox.push(session.id, "stop", {})
            return (await claimed(store, session)).stopped

        assert work(redis_url, claim_after_stop) is True
        stop_seq = side.client.hget(KEYS.session(session.id), "stop_seq")
    assert stop_seq == str(target).encode()


def test_a_stop_without_a_turn_does_nothing_to_the_next(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        assert side.inbox.push(session.id, "stop", {}).enqueue is False
        pushed = side.say(session)

        async def claim(store: Leases, _: Leases) -> tuple[int, bool]:
            found = await claimed(store, session)
            return found.record.seq, found.stopped

        assert work(redis_url, claim) == (pushed.seq, False)


def test_a_stop_of_an_earlier_turn_does_not_stop_the_next(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session, "first")
        side.say(session, "second")

        async def two_turns(store: Leases, _: Leases) -> list[bool]:
            first = await claimed(store, session)
            side.inbox.push(session.id, "stop", {})
            await store.commit(ending(first))
            return [(await claimed(store, session)).stopped]

        assert work(redis_url, two_turns) == [False]


def test_a_chat_takes_no_endless_queue(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        for n in range(MAX_UNREAD):
            side.say(session, str(n))
        with pytest.raises(Retryable, match="unread"):
            side.say(session)
        assert len(side.history.read(session.id).unread) == MAX_UNREAD


def test_a_closed_chat_takes_nothing(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        assert side.sessions.close(session.id, "done") == "done"
        assert side.sessions.close(session.id, "later") == "done"
        with pytest.raises(Closed) as refused:
            side.say(session)
        assert side.controls(session) == ["session-closed"]
    assert refused.value.closed_reason == "done"


def test_an_unknown_session_is_not_made_by_a_send(redis_url: str) -> None:
    with gateway(redis_url) as side:
        with pytest.raises(NotFound):
            side.inbox.push("session_nope", "message", submit("hi"))
        assert side.client.keys("*nope*") == []


def test_a_server_that_forgot_its_scripts_gets_them_again(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.client.script_flush()
        assert side.say(session).seq == 0


def test_a_message_that_no_replica_has_is_not_confirmed(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatagent.redis.inbox._DURABLE_WAIT_MS", 10)
    with gateway(redis_url) as side:
        session = side.create()
        strict = Inbox(side.client, KEYS, durability="replica")
        with pytest.raises(Retryable, match="send it again"):
            strict.push(session.id, "message", submit("hi"), part_id="p1")
        assert side.inbox.push(session.id, "message", submit("hi"), part_id="p1").duplicate is True
        assert len(side.history.read(session.id).unread) == 1
