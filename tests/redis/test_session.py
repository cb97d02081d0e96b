"""Sessions: how they are made, listed by how they stand, and forgotten."""

from __future__ import annotations

from itertools import islice
from typing import Any, cast

import pytest

from chatagent.errors import Closed, NotFound, Retryable
from chatagent.redis.lease import Leases
from chatagent.redis.session import Session, Standing
from tests.redis.chat import KEYS, Gateway, claimed, ending, gateway, submit, work

_ASK: dict[str, Any] = {
    "id": "a",
    "role": "assistant",
    "parts": [{"type": "tool-pay", "toolCallId": "t1", "state": "approval-requested"}],
}
_STANDINGS: tuple[Standing, ...] = ("idle", "queued", "running", "waiting", "closed")


def _of_every_kind(url: str, side: Gateway, each: int) -> dict[str, list[str]]:
    """Chat ids of `each` sessions per standing, of users `ada` and `bob` in turns."""
    made: dict[str, list[str]] = {standing: [] for standing in _STANDINGS}

    async def make(store: Leases, _: Leases) -> None:
        for n in range(each):
            for standing in _STANDINGS:
                user = ("ada", "bob")[n % 2]
                chat_id = f"{standing}-{user}-{n}"
                session, _new = side.sessions.create(chat_id, "support", queue="turns", user=user, tags=["t"])
                await _bring(store, side, session, standing)
                made[standing].append(chat_id)

    work(url, make)
    return made


async def _bring(store: Leases, side: Gateway, session: Session, standing: Standing) -> None:
    if standing == "closed":
        side.sessions.close(session.id)
    if standing in ("queued", "running", "waiting"):
        side.say(session)
    if standing in ("running", "waiting"):
        claim = await claimed(store, session)
        if standing == "waiting":
            await store.commit(ending(claim, messages=[_ASK]))


def test_sessions_are_listed_by_how_they_stand(redis_url: str) -> None:
    with gateway(redis_url) as side:
        made = _of_every_kind(redis_url, side, 6)
        for standing in _STANDINGS:
            for label in ((), ("agent", "support"), ("tag", "t")):
                listed = side.sessions.list(*label, status=standing)
                assert sorted(found.chat_id for found in listed) == sorted(made[standing])
                assert {found.standing for found in listed} == {standing}
            mine = side.sessions.list("user", "bob", status=standing)
            assert sorted(found.chat_id for found in mine) == sorted(name for name in made[standing] if "-bob-" in name)
        assert len(side.sessions.list()) == 30


@pytest.mark.parametrize("status", [None, *_STANDINGS])
def test_pages_of_a_listing_hold_each_session_once_in_both_directions(redis_url: str, status: Standing | None) -> None:
    with gateway(redis_url) as side:
        _of_every_kind(redis_url, side, 14)
        whole = [listed.session.id for listed in side.sessions.walk(status=status)]
        assert len(whole) == (70 if status is None else 14)
        for backwards in (False, True):
            seen: list[str] = []
            cursor = None
            while page := list(islice(side.sessions.walk(cursor=cursor, backwards=backwards, status=status), 4)):
                seen += [listed.session.id for listed in page]
                cursor = page[-1].place
            assert (seen[::-1] if backwards else seen) == whole


def test_an_entry_that_leads_nowhere_is_dropped_when_it_is_old(redis_url: str) -> None:
    with gateway(redis_url) as side:
        kept = [side.create(f"c{n}").id for n in range(60)]
        listing = KEYS.listing()
        side.client.zadd(listing, {f"session_gone{n}": n + 1 for n in range(70)})
        side.client.zadd(listing, {"session_new": 2**52})
        assert {session.id for session in side.sessions.list(limit=500)} == set(kept)
        assert side.client.zcard(listing) == 61, "one may still be on its way"
        assert {listed.session.id for listed in side.sessions.walk(backwards=True)} == set(kept)


def test_runs_of_tasks_are_no_chats(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session, _ = side.sessions.create("run_1", "resize", queue="turns", user="ada", tags=["t"], kind="task")
        side.inbox.push(session.id, "message", submit("go"))

        async def answer(store: Leases, _: Leases) -> None:
            claim = await claimed(store, session)
            assert claim.kind == "task"
            assert [found.id for found in side.sessions.list("task", "resize", status="running")] == [session.id]
            assert side.sessions.list(status="running") == []
            await store.commit(ending(claim, close="completed"))

        work(redis_url, answer)
        for label in ((), ("user", "ada"), ("tag", "t"), ("agent", "resize")):
            assert side.sessions.list(*label) == []
            assert side.sessions.list(*label, status="closed") == []
        assert [found.id for found in side.sessions.list("task", "resize")] == [session.id]
        assert [found.id for found in side.sessions.list("task", "resize", status="closed")] == [session.id]


def test_an_ended_session_is_forgotten_whole(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session)
        with pytest.raises(Retryable):
            side.sessions.expire(session.id, 60)

        async def answer(store: Leases, _: Leases) -> None:
            await store.commit(ending(await claimed(store, session), messages=[{"id": "a"}]))

        work(redis_url, answer)
        side.inbox.inject(session.id, [{"role": "user", "content": "psst"}])
        side.sessions.expire(session.id, 60)
        side.sessions.expire(session.id, 60)
        with pytest.raises(Closed):
            side.say(session)
        names = [*cast("list[bytes]", side.client.keys(f"test*{session.id}*")), KEYS.ext("c1").encode()]
        forgotten = {name: 0 < int(side.client.ttl(name)) <= 3600 for name in names}
        assert set(forgotten.values()) == {True}, forgotten
        with pytest.raises(NotFound):
            side.sessions.expire("session_nope", 60)


def test_tags_of_a_closed_session_can_be_changed(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.sessions.close(session.id)
        side.sessions.update(side.sessions.get(session.id), {"tags": ["new"]})
        assert side.sessions.list("tag", "vip", status="closed") == []
        assert [found.id for found in side.sessions.list("tag", "new", status="closed")] == [session.id]


def test_a_tag_that_was_taken_off_during_a_turn_stays_off(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session)

        async def answer(store: Leases, _: Leases) -> None:
            claim = await claimed(store, session)
            side.sessions.update(session, {"tags": ["other"]})
            await store.commit(ending(claim))

        work(redis_url, answer)
        assert side.sessions.list("tag", "vip") == []
        assert len(side.sessions.list("tag", "other")) == 1


def test_a_session_tells_of_its_run(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session, _ = side.sessions.create("c1", "support", queue="turns", busy="merge", kind="custom")
        assert (session.busy, session.kind, session.outcome, session.standing) == ("merge", "custom", None, "idle")
        assert (session.run_id, session.run_turns, session.suspended, session.run_until_ms) == (None, 0, False, 0)
        side.say(session)

        async def answer(store: Leases, _: Leases) -> None:
            claim = await claimed(store, session)
            assert claim.kind == "custom"
            await store.commit(ending(claim, headers={"in": 0, "outcome": "stopped"}))
            now = side.sessions.get(session.id)
            assert (now.run_id, now.run_turns, now.outcome, now.suspended) == (claim.run_id, 1, "stopped", False)
            assert now.run_until_ms > now.updated_at_ms
            await store.suspend([session.id])

        work(redis_url, answer)
        assert side.sessions.get(session.id).suspended is True


def test_a_session_takes_nothing_after_its_time(redis_url: str) -> None:
    with gateway(redis_url) as side:
        soon, _ = side.sessions.create("soon", "support", queue="turns", expires_at_ms=2**50)
        assert (soon.closed, soon.expired, soon.expires_at_ms) == (False, False, 2**50)
        side.say(soon)
        late, new = side.sessions.create("late", "support", queue="turns", expires_at_ms=1)
        assert (new, late.closed, late.expired, late.closed_reason) == (True, True, True, "expired")
        for attempt in (lambda: side.say(late), lambda: side.sessions.create("late", "support", queue="turns")):
            with pytest.raises(Closed) as caught:
                attempt()
            assert caught.value.closed_reason == "expired"


def test_a_session_that_is_gone_is_not_made_again_by_a_change(redis_url: str) -> None:
    with gateway(redis_url) as side:
        session = side.create()
        side.client.delete(KEYS.session(session.id))
        with pytest.raises(NotFound):
            side.sessions.update(session, {"metadata": {"plan": "pro"}})
        assert not side.client.exists(KEYS.session(session.id))
