"""Replies get lost: a client library sends a command again that was done already. Every script must bear that."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from chatagent.redis import script as scripts
from chatagent.redis.channel import side_id
from chatagent.redis.lease import Leases
from chatagent.redis.script import Command
from chatagent.redis.session import Session
from chatagent.runtime.conversation import Changes
from chatagent.runtime.port import Batch, Held
from tests.redis.chat import KEYS, Gateway, claimed, ending, gateway, submit, work

#: Values that differ from one run of the scenario to the next.
_CHANCE = ("id", "run_id", "previous_run_id", "claim", "amendment")
_TIMES = ("created_at", "updated_at", "queued_at", "lease_until", "warm_until", "run_until", "closed_at")


async def _all_verbs(one: Leases, two: Leases, side: Gateway) -> Session:
    """Every verb at least once, in an order that makes sense."""
    session = side.create()
    side.inbox.push(session.id, "preload", {})
    preload = await claimed(one, session)
    await one.commit(ending(preload, records=[], counts=False, silent=True))
    for text in "abcdef":
        side.say(session, text, message_id=f"m-{text}")
    side.inbox.inject(session.id, [{"role": "user", "content": "one"}])
    side.inbox.edit(session.id, "m-c", submit("C", "m-c"), busy="steer")
    side.inbox.cancel(session.id, "m-d")
    assert [side.channels.append(side_id(session.id, "scores", "in"), n, f"p{n}") for n in (1, 2)] == [0, 1]
    assert await one.admit("support", session.id, 1) is True
    assert await two.admit("support", "another", 1) is False
    first = await claimed(one, session, known_epoch=preload.epoch)
    start = Batch(session.id, first.epoch, 1, [b'{"type":"start"}', b'{"type":"start-step"}'])
    assert isinstance((await one.append([start]))[0], Held)
    assert [record.message_id for record in await one.take(first, {"steer"})] == ["m-c"]
    await one.mark(first, {"chat_started": b"1"})
    await one.renew([first])
    await one.inject(session.id, [{"role": "user", "content": "two"}])
    await one.hand_back(first)
    again = await claimed(two, session)
    assert (again.cause, again.attempt, len(again.tail), len(again.injected)) == ("shutdown", 1, 4, 2)
    await two.append([Batch(session.id, again.epoch, 1, [b'{"type":"text-start","id":"1"}'])])
    await two.commit(ending(again, messages=[{"id": "u"}, {"id": "x"}], consumed=(3,), injected=1))
    assert await two.amend(again, Changes(-1, [(1, {"id": "y"})], [{"id": "z"}]), {"locals": b"{}"}) is True
    await two.suspend([session.id])
    await one.release("support", session.id)
    for _turn in range(2):
        claim = await claimed(one, session)
        side.inbox.push(session.id, "stop", {})
        await one.commit(ending(claim))
    last = await claimed(one, session)
    side.say(session, "g", busy="rollback")
    side.inbox.cancel(session.id, 9)
    side.kill_worker(session)
    assert await two.overdue() == []
    await two.settle([session.id])
    last = await claimed(two, session)
    assert (last.cause, last.attempt, last.stopped, last.forgotten) == ("crashed", 2, True, True)
    await two.commit(ending(last, close="done"))
    await asyncio.gather(*two._background)  # its claim takes the entry out, in its own time
    side.client.zadd(KEYS.queued, {session.id: 1})
    await two.settle([session.id])
    side.sessions.update(session, {"tags": ["new"]})
    side.sessions.close(session.id, "again")
    side.sessions.expire(session.id, 600)
    return session


def _state(side: Gateway, session: Session) -> dict[str, Any]:
    """All of a session's keys, without what is chance."""
    fields: dict[bytes, bytes] = dict(side.client.hgetall(KEYS.session(session.id)))  # type: ignore[arg-type]
    kept = {name: value for name, value in fields.items() if name.decode() not in (*_CHANCE, *_TIMES)}

    def log(key: str) -> list[Any]:
        entries: Any = side.client.xrange(key)
        return [(seq, {name: value for name, value in found.items() if name != b"t"}) for seq, found in entries]

    return {
        "fields": kept,
        "names": set(fields),
        "in": log(KEYS.inbox(session.id)),
        "out": log(KEYS.outbox(session.id)),
        "channel": log(KEYS.outbox(side_id(session.id, "scores", "in"))),
        "history": side.client.lrange(KEYS.history(session.id), 0, -1),
        "injected": side.client.lrange(KEYS.injected(session.id), 0, -1),
        "edits": side.client.hkeys(KEYS.edits(session.id)),
        "places": side.client.zrange(KEYS.places("support"), 0, -1),
        "waiting": side.client.zrange(KEYS.waiting("support"), 0, -1),
        "leases": side.client.zcard(KEYS.leases),
        "queued": side.client.zcard(KEYS.queued),
    }


def _run(url: str) -> dict[str, Any]:
    with gateway(url) as side:

        async def scenario(one: Leases, two: Leases) -> Session:
            return await _all_verbs(one, two, side)

        session = work(url, scenario)
        state = _state(side, session)
        side.client.flushdb()
        return state


def test_a_world_in_which_every_command_is_sent_twice_is_the_same(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = _run(redis_url)
    sent: set[str] = set()
    names = {scripts.script(name).sha: name for name in scripts.VERBS}
    send, send_async = scripts._send, scripts._send_async

    def note(commands: Sequence[Command]) -> None:
        sent.update(names[command[1]] for command in commands if command[0] == "EVALSHA")

    def twice(client: Any, commands: Sequence[Command]) -> list[Any]:
        note(commands)
        lost = send(client, commands)
        return _reply(lost, send(client, commands))

    async def twice_async(client: Any, commands: Sequence[Command]) -> list[Any]:
        note(commands)
        lost = await send_async(client, commands)
        return _reply(lost, await send_async(client, commands))

    monkeypatch.setattr(scripts, "_send", twice)
    monkeypatch.setattr(scripts, "_send_async", twice_async)
    assert _run(redis_url) == once
    assert sent == {*scripts.VERBS} - {"start", "stream"}, "those of tasks are tested with them"


def _reply(lost: list[Any], second: list[Any]) -> list[Any]:
    """What is answered the second time is answered; that a script was missing is learned from the first."""
    return lost if any(isinstance(reply, Exception) for reply in lost) else second
