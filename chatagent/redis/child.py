"""Runs that others wait for: started, followed to their end, written to and stopped, on one subscription per process.

A doorbell is a hint: whoever follows reads the truth first, when the subscription stands, and after every reconnect.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
import redis.asyncio

from chatagent.cancel import cancel
from chatagent.child import Ended, NewRun
from chatagent.errors import NotFound
from chatagent.record import OutRecord
from chatagent.redis.connection import connect_async
from chatagent.redis.due import due
from chatagent.redis.error import DROPPED, store_errors
from chatagent.redis.gateway import GatewayRedis
from chatagent.redis.injection import inject
from chatagent.redis.keys import Keys
from chatagent.redis.outbox import PAGE, append_beside_command, read_outbox_entry
from chatagent.redis.script import Command, run_async, script
from chatagent.runtime.child_port import Asked
from chatagent.ui import encode_value

logger = logging.getLogger(__name__)

#: Seconds after which a run that never ended is forgotten.
FORGET_S = 30 * 86_400
#: Seconds before a dropped connection is made again.
_RECONNECT_S = 0.2
#: What the bell of an ended turn carries; a bell without records may be one, too.
_END = b"#turn-complete"


class Bells:
    """Doorbells of any number of outboxes over one connection, which is made on first use."""

    def __init__(self, client: redis.asyncio.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._followers: dict[str, dict[asyncio.Event, bool]] = {}
        self._pubsub: Any = None
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def follow(self, session_id: str, *, ends_only: bool = False) -> AsyncIterator[asyncio.Event]:
        """An event that is set when there may be something new; `ends_only`: when a turn may have ended."""
        if self._task is None:
            self._task = asyncio.create_task(self._listen(), name="child bells")
        channel, rung = self._keys.out_channel(session_id), asyncio.Event()
        followers = self._followers.setdefault(channel, {})
        followers[rung] = ends_only
        await self._command("subscribe", channel)
        try:
            yield rung
        finally:
            followers.pop(rung, None)
            if not followers and self._followers.get(channel) is followers:
                del self._followers[channel]
                await self._command("unsubscribe", channel)

    async def close(self) -> None:
        """End the connection."""
        if self._task is not None:
            await cancel([self._task])

    async def _command(self, verb: str, channel: str) -> None:
        """Say it now if there is a connection; a new one subscribes to all anyway."""
        if self._pubsub is not None:
            with suppress(*DROPPED):  # the listener sees it broken, too
                await getattr(self._pubsub, verb)(channel)

    async def _listen(self) -> None:
        # A channel on which nothing is ever said keeps the connection subscribed.
        idle = self._keys.out_channel("")
        while True:
            try:
                async with self._client.pubsub() as pubsub:
                    await pubsub.subscribe(idle)
                    self._pubsub = pubsub
                    if self._followers:
                        await pubsub.subscribe(*self._followers)
                    async for message in pubsub.listen():
                        self._hear(message)
            except DROPPED:
                logger.warning("doorbells of child runs lost; connecting again")
            finally:
                self._pubsub = None
            await asyncio.sleep(_RECONNECT_S)

    def _hear(self, message: Mapping[str, Any]) -> None:
        """A confirmed subscription counts as a bell: what rang before it was not heard."""
        if message["type"] not in ("message", "subscribe"):
            return
        payload = message["data"]
        may_end = not isinstance(payload, bytes) or _END in payload or b"\n" not in payload
        for rung, ends_only in self._followers.get(message["channel"].decode(), {}).items():
            if may_end or not ends_only:
                rung.set()


class ChildRedis:
    """What a worker does with sessions that it does not hold (`chatagent.runtime.child_port.ChildStore`)."""

    def __init__(self, url: str, keys: Keys) -> None:
        self.keys = keys
        self._client = connect_async(url)
        self._bells_client = connect_async(url, max_connections=2, blocking=True)
        self._bells = Bells(self._bells_client, keys)
        # Sends of messages and stops are rare here, so they go the way that gateways send them.
        self._gateway = GatewayRedis.connect(url, prefix=keys.prefix)

    @asynccontextmanager
    async def follow(self, session_id: str, *, ends_only: bool = False) -> AsyncIterator[asyncio.Event]:
        """An event that is set when there may be something new, by a hint or because hints may have been missed."""
        async with self._bells.follow(session_id, ends_only=ends_only) as rung:
            yield rung

    async def start(self, run: NewRun, trace: Mapping[str, Any], queue: str) -> bool:
        """Make the session of a run; False when it is there. Raises: StoreDown."""
        async with store_errors():
            *_, answer = await run_async(self._client, *start_commands(self.keys, run, trace, queue))
        return bool(answer[0] == b"created")

    async def ended(self, session_id: str) -> Ended | None:
        """How a run ended; None while it has not. Raises: NotFound, StoreDown."""
        async with store_errors():
            (fields,) = await run_async(self._client, ended_command(self.keys, session_id))
        return read_ended(session_id, fields)

    async def keep(self, session_id: str, ttl_s: float) -> None:
        """Forget an ended run after `ttl_s` seconds. Raises: StoreDown."""
        async with store_errors():
            await run_async(self._client, *keep_commands(self.keys, session_id, ttl_s))

    async def append(
        self, session_id: str, turn: int | None, writer: str, number: int, records: Sequence[bytes]
    ) -> bool:
        """Write raw records while a turn runs; False when none does, or another. Raises: StoreDown."""
        command = append_beside_command(self.keys, session_id, writer, number, records, turn=turn)
        async with store_errors():
            (answer,) = await run_async(self._client, command)
        return bool(answer[0] == b"ok")

    async def inject(self, session_id: str, messages: Sequence[Mapping[str, Any]], key: str) -> None:
        """Put model messages into another chat, once per key. Raises: NotFound, StoreDown."""
        await inject(self._client, self.keys, session_id, messages, key)

    async def progress(self, session_id: str) -> tuple[int, int | None]:
        """After which seq the current turn's records begin (the last one's, when none runs), and where they end.

        Raises: NotFound, StoreDown.
        """
        names = ("id", "status", "complete_seq")
        async with store_errors():
            (fields,) = await run_async(self._client, ("HMGET", self.keys.session(session_id), *names))
        if fields[0] is None:
            raise NotFound(f"there is no session {session_id!r}")
        if fields[1] == b"idle":
            return -1, int(fields[2])
        return int(fields[2]), None

    async def records(self, session_id: str, after: int) -> list[OutRecord]:
        """Records after a seq, one page of them. Raises: StoreDown."""
        async with store_errors():
            (entries,) = await run_async(
                self._client, ("XRANGE", self.keys.outbox(session_id), f"{after + 2}-0", "+", "COUNT", PAGE)
            )
        return [read_outbox_entry(entry) for entry in entries]

    async def ask(
        self, chat_id: str, agent: str, queue: str, user: str | None, message: Mapping[str, Any], metadata: Any
    ) -> Asked:
        """Send a user's message to a chat, unless it was sent before. Raises: Closed, Retryable, StoreDown."""
        return await asyncio.to_thread(self._ask, chat_id, agent, queue, user, message, metadata)

    def _ask(
        self, chat_id: str, agent: str, queue: str, user: str | None, message: Mapping[str, Any], metadata: Any
    ) -> Asked:
        session, _ = self._gateway.sessions.create(chat_id, agent, queue=queue, user=user)
        found = self._gateway.history.read(session.id)
        for at, known in enumerate(found.messages[:-1]):
            if known.get("id") == message["id"]:
                return Asked(session.id, answer=found.messages[at + 1])
        for record in found.unread:
            if (record.payload.get("message") or {}).get("id") == message["id"]:
                return Asked(session.id, record.seq, found.session.complete_seq)
        payload = {"trigger": "submit-message", "message": dict(message), "metadata": metadata}
        pushed = self._gateway.inbox.push(session.id, "message", payload, part_id=str(message["id"]))
        return Asked(session.id, pushed.seq, pushed.out_cursor, queue=pushed.queue if pushed.enqueue else None)

    async def stop(self, session_id: str) -> None:
        """Stop what runs or waits in a session. Raises: NotFound, Closed, StoreDown."""
        await asyncio.to_thread(self._gateway.inbox.push, session_id, "stop", {})

    async def close(self) -> None:
        """Drop all connections."""
        await self._bells.close()
        await self._client.aclose()
        await self._bells_client.aclose()
        await asyncio.to_thread(self._gateway.close)


def start_commands(keys: Keys, run: NewRun, trace: Mapping[str, Any], queue: str) -> list[Command]:
    """Index first, then make: a run whose starter dies in between is found by the sweeper."""
    session_id, now = run.session_id, int(time.time() * 1000)
    fields: dict[str, Any] = {
        "id": session_id,
        "ext": run.run_id,
        "agent": run.task,
        "queue": run.queue or queue,
        "kind": "task",
        "user": trace.get("user") or "",
        "tags": "[]",
        "metadata": "null",
        "trigger_config": "{}",
        "ttl_s": int(run.ttl_s),
    }
    body = encode_value({"task": run.task, "payload": run.payload, "trace": trace})
    flat = [item for pair in fields.items() for item in pair]
    return [
        due(keys.queued, session_id),
        ("ZADD", keys.listing("task", run.task), "NX", now, session_id),
        script("start")([keys.session(session_id), keys.inbox(session_id)], [body, FORGET_S, *flat]),
    ]


def ended_command(keys: Keys, session_id: str) -> Command:
    """Reads what `read_ended` reads."""
    return ("HMGET", keys.session(session_id), "id", "output", "error", "complete_seq")


def read_ended(session_id: str, fields: Sequence[bytes | None]) -> Ended | None:
    """How a run ended. Raises: NotFound."""
    known, output, error, complete_seq = fields
    if known is None:
        raise NotFound(f"there is no run with session {session_id!r}, or its result has expired")
    if error is not None:
        return Ended(error=orjson.loads(error))
    if output is not None:
        return Ended(output=orjson.loads(output))
    # The engine gave the run up: something in it breaks our own code.
    return None if complete_seq == b"-1" else Ended(error={"name": "TaskFailed", "message": "the run was given up"})


def keep_commands(keys: Keys, session_id: str, ttl_s: float) -> list[Command]:
    """Let all keys of a session expire."""
    names = (keys.session, keys.inbox, keys.outbox, keys.history, keys.edits, keys.injected)
    return [("EXPIRE", name(session_id), max(1, int(ttl_s))) for name in names]
