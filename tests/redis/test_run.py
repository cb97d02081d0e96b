"""The life of a run: which claims go on with it, and which begin another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from chatagent.redis.claim import Holder, claim_command, read_claim
from chatagent.redis.lease import Leases
from chatagent.redis.script import run
from chatagent.redis.session import Session
from chatagent.runtime.port import Batch, Claim
from tests.redis.chat import KEYS, Gateway, claimed, ending, gateway, work


def _turn(side: Gateway, session: Session, **changed: Any) -> Callable[..., Any]:
    """One turn, from message to commit; gives its claim."""

    async def turn(store: Leases, known_epoch: int = -1) -> Claim:
        side.say(session)
        claim = await claimed(store, session, known_epoch=known_epoch)
        await store.commit(ending(claim, messages=[{"id": f"a{claim.turn}"}], **changed))
        return claim

    return turn


def _next(side: Gateway, session: Session) -> Callable[..., Any]:
    async def after(store: Leases, known_epoch: int = -1) -> Claim:
        side.say(session)
        return await claimed(store, session, known_epoch=known_epoch)

    return after


def test_the_first_claim_begins_a_run(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session)

        async def look(store: Leases, _: Leases) -> Claim:
            return await claimed(store, session)

        claim = work(redis_url, look)
    assert (claim.run_state, claim.run_turn, claim.previous_run_id, claim.cause) == ("new", 0, None, None)
    assert (claim.preloaded, claim.chat_started, claim.history) == (False, False, [])


def test_a_warm_run_goes_on_and_counts_its_turns(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        turn, after = _turn(side, session), _next(side, session)

        async def turns(store: Leases, _: Leases) -> tuple[Claim, Claim]:
            first = await turn(store)
            return first, await after(store, first.epoch)

        first, second = work(redis_url, turns)
    assert (second.run_state, second.run_id, second.run_turn) == ("warm", first.run_id, 1)
    assert (second.history, second.previous_run_id) == (None, None)


def test_a_suspended_run_is_resumed_by_any_worker(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        turn, after = _turn(side, session), _next(side, session)

        async def turns(one: Leases, two: Leases) -> tuple[Claim, Claim]:
            first = await turn(one)
            await one.suspend([session.id])
            assert side.sessions.get(session.id).suspended is True
            assert side.say(session).queue == "turns", "no longer the worker that kept it warm"
            return first, await after(two)

        first, second = work(redis_url, turns)
    assert (second.run_state, second.run_id, second.run_turn) == ("suspended", first.run_id, 1)
    assert second.history == [{"id": "a0"}]
    assert second.previous_run_id is None


def test_a_turn_that_leaves_nothing_warm_leaves_a_suspended_run(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        turn, after = _turn(side, session, warm_s=0), _next(side, session)

        async def turns(one: Leases, two: Leases) -> tuple[Claim, Claim]:
            return await turn(one), await after(two)

        first, second = work(redis_url, turns)
    assert (second.run_state, second.run_id) == ("suspended", first.run_id)


def test_a_run_whose_process_vanished_is_continued_by_another(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        turn, after = _turn(side, session), _next(side, session)

        async def turns(one: Leases, two: Leases) -> tuple[Claim, Claim]:
            return await turn(one), await after(two)

        first, second = work(redis_url, turns)
    assert (second.run_state, second.previous_run_id, second.run_turn) == ("new", first.run_id, 0)
    assert second.run_id != first.run_id


@pytest.mark.parametrize("state", ["warm", "suspended"])
def test_a_run_that_was_ended_is_continued_by_another(redis_url: str, state: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        turn, after = _turn(side, session, run_s=0), _next(side, session)

        async def turns(store: Leases, _: Leases) -> tuple[Claim, Claim]:
            first = await turn(store)
            if state == "suspended":
                await store.suspend([session.id])
            return first, await after(store, first.epoch)

        first, second = work(redis_url, turns)
    assert (second.run_state, second.previous_run_id, second.cause) == ("new", first.run_id, None)
    assert second.history == [{"id": "a0"}]


@pytest.mark.parametrize("state", ["warm", "suspended"])
def test_a_run_whose_time_is_up_is_continued_by_another(redis_url: str, state: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        turn, after = _turn(side, session), _next(side, session)

        async def turns(store: Leases, _: Leases) -> tuple[Claim, Claim]:
            first = await turn(store)
            if state == "suspended":
                await store.suspend([session.id])
            side.client.hset(KEYS.session(session.id), "run_until", 1)
            return first, await after(store, first.epoch)

        first, second = work(redis_url, turns)
    assert (second.run_state, second.previous_run_id, second.run_turn) == ("new", first.run_id, 0)


def test_a_crash_begins_another_run_and_says_so(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        turn, after = _turn(side, session), _next(side, session)

        async def crash(one: Leases, two: Leases) -> tuple[Claim, Claim, Claim]:
            first = await turn(one)
            dead = await after(one, first.epoch)
            assert dead.run_id == first.run_id
            side.kill_worker(session)
            again = await claimed(two, session)
            await two.commit(ending(again))
            return first, again, await after(two, again.epoch)

        first, again, later = work(redis_url, crash)
    assert (again.cause, again.attempt, again.run_state) == ("crashed", 2, "new")
    assert again.previous_run_id == first.run_id
    assert (later.cause, later.run_state, later.run_id) == (None, "warm", again.run_id)


def test_a_turn_that_was_handed_back_goes_on_with_the_true_cause(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session)

        async def leave(one: Leases, two: Leases) -> list[Claim]:
            await one.hand_back(await claimed(one, session))
            after = await claimed(two, session)
            side.kill_worker(session)
            return [after, await claimed(one, session)]

        handed, crashed = work(redis_url, leave)
    assert (handed.cause, handed.attempt, handed.run_state) == ("shutdown", 1, "new")
    assert (crashed.cause, crashed.attempt) == ("crashed", 2)


def test_a_repeated_claim_after_a_shutdown_still_brings_what_was_written(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session)

        async def leave(store: Leases, _: Leases) -> None:
            claim = await claimed(store, session)
            await store.append([Batch(session.id, claim.epoch, 1, [b'{"type":"start"}'])])
            await store.hand_back(claim)

        work(redis_url, leave)
        command = claim_command(KEYS, session.id, Holder("w9", 15_000))
        (first,), (again,) = run(side.client, command), run(side.client, command)
        claim = read_claim(first)
    assert first == again
    assert claim is not None
    assert claim.tail[1:] == [b'{"type":"start"}']


def test_a_late_suspend_leaves_the_run_of_another_worker_alone(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        turn = _turn(side, session)

        async def late(one: Leases, two: Leases) -> None:
            await turn(one)
            side.say(session)
            claim = await claimed(two, session)
            await one.suspend([session.id])
            assert side.field(session, "suspended") == "0"
            await two.commit(ending(claim))
            await one.suspend([session.id])

        work(redis_url, late)
        assert side.sessions.get(session.id).suspended is False
        assert side.say(session).queue == "queue.w2"


def test_a_suspend_that_races_with_a_claim_leaves_a_run_that_somebody_has(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        turn, after = _turn(side, session), _next(side, session)

        async def race(one: Leases, two: Leases) -> None:
            for _ in range(20):
                first = await turn(one)
                side.say(session)
                _, claim = await asyncio.gather(one.suspend([session.id]), two.claim(session.id))
                assert claim is not None
                # Suspended before the claim: the same run. After it: the claim found it warm elsewhere.
                assert (claim.run_state == "suspended") == (claim.run_id == first.run_id)
                assert side.field(session, "suspended") == "0"
                await two.commit(ending(claim))
                await two.commit(ending(await after(two)))

        work(redis_url, race)


def test_a_preload_begins_a_run_without_a_trace_in_the_outbox(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        pushed = side.inbox.push(session.id, "preload", {})
        assert pushed.enqueue is True

        async def preload(store: Leases, _: Leases) -> tuple[Claim, Claim]:
            claim = await claimed(store, session)
            assert (claim.record.kind, claim.preloaded) == ("preload", False)
            silent = ending(claim, records=[], counts=False, silent=True)
            committed = await store.commit(silent)
            assert committed == await store.commit(silent)
            assert (committed.seq, committed.next.state) == (-1, "idle")
            assert side.controls(session) == []
            side.say(session)
            return claim, await claimed(store, session, known_epoch=claim.epoch)

        preload_claim, first = work(redis_url, preload)
        assert side.controls(session) == ["turn-start"]
        now = side.sessions.get(session.id)
    assert (first.run_state, first.run_id, first.preloaded) == ("warm", preload_claim.run_id, True)
    assert (first.turn, first.run_turn, now.run_turns, now.preloaded) == (0, 0, 0, True)


def test_a_preload_of_a_chat_that_has_begun_adds_nothing(redis_url: str) -> None:
    with gateway(redis_url) as side:
        waiting, answered = side.create("waiting"), side.create("answered")
        side.say(waiting)

        async def answer(store: Leases, _: Leases) -> None:
            side.say(answered)
            await store.commit(ending(await claimed(store, answered)))

        work(redis_url, answer)
        for session in (waiting, answered):
            pushed = side.inbox.push(session.id, "preload", {})
            assert (pushed.duplicate, pushed.enqueue) == (True, False)
            assert side.sessions.get(session.id).in_seq == 0


def test_actions_are_no_turns(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        turn = _turn(side, session)

        async def act(store: Leases, _: Leases) -> None:
            await turn(store)
            side.inbox.push(session.id, "action", {"action": {"type": "undo"}})
            claim = await claimed(store, session)
            assert (claim.record.kind, claim.turn) == ("action", 1)
            await store.commit(ending(claim, counts=False))

        work(redis_url, act)
        now = side.sessions.get(session.id)
        assert side.controls(session)[-2:] == [None, "turn-complete"]
    assert (now.turn, now.run_turns) == (1, 0)
