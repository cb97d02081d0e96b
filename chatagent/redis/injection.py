"""Injected messages: what the model shall read although no user has said it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import redis.asyncio

from chatagent.errors import NotFound
from chatagent.ids import new_id
from chatagent.redis.error import store_errors
from chatagent.redis.keys import Keys
from chatagent.redis.script import Command, run_async, script
from chatagent.ui import encode_value

#: Seconds for which a call is remembered, so that its repetition adds nothing.
_REMEMBERED_S = 3600


def inject_command(
    keys: Keys, session_id: str, messages: Sequence[Mapping[str, Any]], *, key: str | None = None
) -> Command:
    """Put model messages where a running turn finds them between two steps, else the next turn.

    The same command, or `key`, again adds nothing.
    """
    part = keys.part(session_id, f"inject-{key or new_id()}")
    names = [keys.session(session_id), keys.injected(session_id), part]
    encoded = [encode_value(message) for message in messages]
    return script("inject")(names, [_REMEMBERED_S, keys.worker_channel(""), *encoded])


async def inject(
    client: redis.asyncio.Redis, keys: Keys, session_id: str, messages: Sequence[Mapping[str, Any]], key: str | None
) -> None:
    """Put them there. Raises: NotFound, StoreDown."""
    async with store_errors():
        (answer,) = await run_async(client, inject_command(keys, session_id, messages, key=key))
    if answer[0] == b"missing":
        raise NotFound(f"there is no session {session_id!r}")
