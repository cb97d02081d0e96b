"""What the heartbeat of a process hears of turns that end at the same moment."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from chatagent.errors import LeaseLost
from chatagent.redis.lease import Leases as Store
from chatagent.runtime.lease import Active, Leases
from chatagent.runtime.slot import Slot
from chatagent.runtime.writer import Flusher, TurnLog
from tests.redis.chat import claimed, ending, gateway, work

_CHUNK = {"type": "start"}


def test_a_renewal_behind_the_commit_of_its_own_turn_loses_nothing(redis_url: str) -> None:
    """The commit ended the lease; its answer may come after that of a renewal that was sent later."""
    with gateway(redis_url) as side:
        session = side.create()
        side.say(session)

        async def race(store: Store, _: Store) -> None:
            claim = await claimed(store, session)
            log = TurnLog(Flusher(cast(Any, store)), claim, max_chunk_bytes=1024)
            active = Active(claim, cast(Any, None), log, Slot(), asyncio.current_task(), committing=True)
            leases = Leases(cast(Any, store), heartbeat_s=60)
            await store.commit(ending(claim))
            await leases.renew([active])
            log.write(_CHUNK)
            active.committing = False
            await leases.renew([active])
            with pytest.raises(LeaseLost):
                log.write(_CHUNK)

        work(redis_url, race)
