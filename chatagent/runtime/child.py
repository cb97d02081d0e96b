"""Children: runs that the code of a turn or a task starts, waits for, writes to and stops, without holding a slot."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from chatagent.agent import Agent
from chatagent.agent.local import snapshot_locals
from chatagent.agent.task_run import Chunk, current_task_run
from chatagent.agent.turn import find_turn
from chatagent.child import Ancestor, Ended, NewRun, Trace, session_of_run
from chatagent.errors import ChatAgentError, Closed, NotFound
from chatagent.ids import new_id
from chatagent.llm import current_tool_options
from chatagent.record import OutRecord, control_headers, raw_record
from chatagent.runtime.child_port import Asked, ChildStore
from chatagent.runtime.injection import once
from chatagent.runtime.patience import patiently
from chatagent.runtime.port import Dispatch
from chatagent.runtime.slot import parked
from chatagent.signal import AbortSignal
from chatagent.ui import Fold, decode, encode

logger = logging.getLogger(__name__)

#: Seconds between two looks at an answer that others write.
_LOOK_S = 0.1
#: Records of one look at most; a full page means that there are more.
_PAGE = 512


class Children:
    """Starts runs for the code of this process (`chatagent.agent.task_run.Launcher`)."""

    def __init__(self, store: ChildStore, dispatch: Dispatch, queue: str) -> None:
        self._store = store
        self._dispatch = dispatch
        self._queue = queue
        self._stopping: set[asyncio.Task[None]] = set()

    async def start(self, run: NewRun) -> None:
        trace = trace_here().to_dict()
        if await patiently(lambda: self._store.start(run, trace, self._queue), "run not started"):
            await self._send(run.task, run.session_id, run.queue or self._queue)

    async def wait(self, run_id: str) -> Ended:
        session_id = session_of_run(run_id)
        async with parked(), self._store.follow(session_id, ends_only=True) as rung:
            with self._stopping_with_us(session_id):
                while (ended := await patiently(lambda: self._store.ended(session_id), "run not looked at")) is None:
                    await rung.wait()
                    rung.clear()
        return ended

    async def append(
        self, session_id: str, turn: int | None, writer: str, number: int, chunks: Sequence[Chunk]
    ) -> bool:
        records = [raw_record(encode(dict(chunk))) for chunk in chunks]
        return await patiently(
            lambda: self._store.append(session_id, turn, writer, number, records), "chunks not written"
        )

    async def inject(self, session_id: str, messages: Sequence[Chunk]) -> None:
        run, given = current_task_run(), [dict(message) for message in messages]
        key = new_id() if run is None else once(run.run_id, given, run.injected)
        await patiently(lambda: self._store.inject(session_id, given, key), "messages not injected")

    async def read(self, session_id: str) -> AsyncIterator[dict[str, Any]]:
        after, until = await patiently(lambda: self._store.progress(session_id), "run not looked at")
        async with self._store.follow(session_id) as rung:
            async for records in self._pages(session_id, after, rung):
                for record in records:
                    if record.control is None:
                        yield decode(record.raw)
                    elif record.control == "session-closed" or (record.control == "turn-complete" and until is None):
                        return
                    if until is not None and record.seq >= until:
                        return
                if until is not None and not records:
                    return

    async def ask(self, agent: Agent[Any], chat_id: str, message: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        trace = trace_here()
        metadata = (trace.chat or {}).get("client_data")
        queue = agent.options.queue or self._queue
        asked = await patiently(
            lambda: self._store.ask(chat_id, agent.id, queue, trace.user, message, metadata), "agent not asked"
        )
        if asked.queue is not None:
            await self._send(agent.id, asked.session_id, asked.queue)
        if asked.answer is not None:
            yield asked.answer
            return
        async with parked(), self._store.follow(asked.session_id) as rung:
            with self._stopping_with_us(asked.session_id):
                async for answer in self._answer(asked, rung):
                    yield answer

    async def _answer(self, asked: Asked, rung: asyncio.Event) -> AsyncIterator[dict[str, Any]]:
        """The answer to a message as it grows, looked at now and then."""
        fold, ours = Fold(), False
        async for records in self._pages(asked.session_id, asked.cursor, rung):
            for record in records:
                if record.control is None:
                    if ours:
                        _add(fold, decode(record.raw))
                elif record.control == "turn-start":
                    ours = control_headers(record.raw).get("in") == asked.seq
                elif record.control == "session-closed":
                    raise Closed()
                elif record.control == "turn-complete" and control_headers(record.raw).get("in") == asked.seq:
                    yield _snapshot(fold)
                    return
            if ours and fold.message["parts"]:
                yield _snapshot(fold)
            await asyncio.sleep(_LOOK_S)

    async def _pages(self, session_id: str, after: int, rung: asyncio.Event) -> AsyncIterator[list[OutRecord]]:
        """All records after a seq, for ever, in the pieces in which they are found; the first may be empty."""
        first = True
        while True:
            rung.clear()
            records = await patiently(partial(self._store.records, session_id, after), "answer not read")
            if records or first:
                after = records[-1].seq if records else after
                first = False
                yield records
            if len(records) < _PAGE:
                await rung.wait()

    async def _send(self, agent: str, session_id: str, queue: str) -> None:
        try:
            await self._dispatch(agent, session_id, queue)
        except Exception:
            logger.exception("run not enqueued; the sweeper tries again", extra={"session": session_id})

    @contextmanager
    def _stopping_with_us(self, session_id: str) -> Iterator[None]:
        """While this waits, a stop of ours is one of theirs. Leaving this worker is none: our next attempt waits on."""
        signal = _stop_signal()
        remove = None if signal is None else signal.add_listener(lambda: self._stop(session_id))
        try:
            yield
        finally:
            if remove is not None:
                remove()

    def _stop(self, session_id: str) -> None:
        task = asyncio.create_task(self._stop_child(session_id), name=f"stop {session_id}")
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)

    async def _stop_child(self, session_id: str) -> None:
        try:
            await patiently(lambda: self._store.stop(session_id), "run not stopped")
        except (NotFound, Closed):
            logger.debug("child ended before its stop", extra={"session": session_id})


def trace_here() -> Trace:
    """What a run is told that the code of this context starts."""
    run, turn, options = current_task_run(), find_turn(), current_tool_options()
    tool = None
    if options is not None:
        tool = {"tool_call_id": options.tool_call_id, "tool_name": options.tool_name, "input": options.input}
    if run is not None:
        parent = Ancestor(session_id=run.session_id, run_id=run.run_id)
        above = run.trace
        return Trace(
            parent=parent,
            root=above.root or parent,
            tool=tool or above.tool,
            chat=above.chat,
            locals=snapshot_locals(),
            user=above.user,
        )
    if turn is None:
        return Trace(tool=tool)
    us = Ancestor(session_id=turn.session_id, run_id=turn.run_id, turn=turn.number)
    chat = {
        "chat_id": turn.chat_id,
        "turn": turn.number,
        "continuation": turn.continuation,
        "client_data": turn.metadata,
    }
    return Trace(parent=us, root=us, tool=tool, chat=chat, locals=snapshot_locals(), user=turn.user)


def _snapshot(fold: Fold) -> dict[str, Any]:
    """The message as it is now; the live one changes with later chunks."""
    return decode(encode(fold.message))


def _add(fold: Fold, chunk: dict[str, Any]) -> None:
    if chunk["type"] == "error":
        raise ChatAgentError(str(chunk.get("errorText", "the agent failed")))
    fold.add(chunk)


def _stop_signal() -> AbortSignal | None:
    run, turn = current_task_run(), find_turn()
    if run is not None:
        return run.stop_signal
    return None if turn is None else turn.stop_signal
