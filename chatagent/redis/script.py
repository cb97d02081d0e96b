"""The Lua verbs: one file per operation, each atomic, run by EVALSHA and loaded again when a server forgot them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import redis
import redis.asyncio
from redis.exceptions import NoScriptError

VERBS = (
    *("create", "close", "expire", "start"),
    *("push", "edit", "cancel", "inject", "channel"),
    *("claim", "take", "mark", "renew", "append", "stream", "commit", "amend", "suspend", "settle"),
    *("admit", "release", "update"),
    *("due", "overdue", "forget"),
)

#: One Redis command: its name and arguments.
Command = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Script:
    """One verb: its source and the SHA1 that Redis knows it by."""

    name: str
    source: str
    sha: str

    def __call__(self, keys: Sequence[str], args: Sequence[Any]) -> Command:
        """The command that runs this verb."""
        return ("EVALSHA", self.sha, len(keys), *keys, *args)


@cache
def script(name: str) -> Script:
    """The verb `lua/<name>.lua`."""
    source = resources.files(__package__).joinpath("lua", f"{name}.lua").read_text("utf-8")
    return Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


def run(client: redis.Redis, *commands: Command) -> list[Any]:
    """Send commands in one round trip and return their replies in order; an error reply raises.

    The commands may be sent twice (a server that restarted has no scripts), so each must be idempotent.
    """
    replies = _send(client, commands)
    if any(isinstance(reply, NoScriptError) for reply in replies):
        _send(client, [("SCRIPT", "LOAD", script(name).source) for name in VERBS])
        replies = _send(client, commands)
    return _raise_first(replies)


async def run_async(client: redis.asyncio.Redis, *commands: Command) -> list[Any]:
    """`run` for the worker."""
    replies = await _send_async(client, commands)
    if any(isinstance(reply, NoScriptError) for reply in replies):
        await _send_async(client, [("SCRIPT", "LOAD", script(name).source) for name in VERBS])
        replies = await _send_async(client, commands)
    return _raise_first(replies)


def _send(client: redis.Redis, commands: Sequence[Command]) -> list[Any]:
    with client.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command)  # type: ignore[no-untyped-call,unused-ignore]
        replies: list[Any] = pipe.execute(raise_on_error=False)
    return replies


async def _send_async(client: redis.asyncio.Redis, commands: Sequence[Command]) -> list[Any]:
    async with client.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command)  # type: ignore[no-untyped-call,unused-ignore]
        replies: list[Any] = await pipe.execute(raise_on_error=False)
    return replies


def _raise_first(replies: list[Any]) -> list[Any]:
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies
