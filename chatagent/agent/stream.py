"""`chat.stream`: chunks beside the answer, into this run's stream or that of a run above.

They reach clients in their place and never become part of the stored message. A `data-…` chunk with the type and id of
an earlier one replaces it there.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping, Sequence
from typing import Any

from chatagent.agent.source import chunks_of
from chatagent.agent.task_run import Chunk, current_launcher, current_outlet, current_task_run
from chatagent.agent.turn import find_turn
from chatagent.child import SESSION_PREFIX, Ancestor, session_of_run
from chatagent.errors import BadRequest, ConfigError
from chatagent.ids import new_id
from chatagent.ui import validate_chunk

#: The turn writes these itself, once: clients stop reading at the last three.
_FRAME = ("start", "finish", "abort", "error")
#: Chunks of a source that are written to another session at once.
_BATCH = 64


class Writer:
    """Writes chunks to one target, in order, each once. A write is on its way as soon as it is called."""

    def __init__(self, target: str) -> None:
        self._session_id, self._turn = ("", None) if target == "self" else place_of(target)
        own = target == "self" or _is_here(self._session_id)
        self._outlet = current_outlet() if own else None
        if target == "self" and self._outlet is None:
            raise ConfigError("there is no stream here: write from an agent, its hooks or tools, or a task")
        self._id = new_id()
        self._number = 0
        self._begun: list[_Write] = []

    def write(self, chunk: Chunk) -> Awaitable[bool]:
        """Write one chunk; gives False when the turn that it is for has ended. Raises: BadRequest for what is none."""
        return self.write_all([chunk])

    def write_all(self, chunks: Sequence[Chunk]) -> Awaitable[bool]:
        """Write chunks at once."""
        _check(chunks)
        before = self._begun[-1] if self._begun else None
        write = _Write(asyncio.ensure_future(self._write_after(before, copy.deepcopy(list(chunks)))))
        self._begun = [*(each for each in self._begun if not each.is_over), write]
        return write

    async def flush(self) -> None:
        """Wait until all is written. Raises what a write raised that nobody has awaited."""
        for write in self._begun:
            if not write.awaited:
                await write

    async def send(self, chunks: Sequence[Chunk]) -> bool:
        """Write chunks, with nothing else on its way."""
        _check(chunks)
        return await self._put(chunks)

    async def _put(self, chunks: Sequence[Chunk]) -> bool:
        if self._outlet is not None:
            for chunk in chunks:
                await self._outlet(chunk)
            return True
        self._number += 1
        return await current_launcher().append(self._session_id, self._turn, self._id, self._number, chunks)

    async def _write_after(self, before: _Write | None, chunks: Sequence[Chunk]) -> bool:
        if before is not None:
            await asyncio.wait([before.task])
        return await self._put(chunks)


class _Write:
    """A write on its way; its error is that of whoever awaits it, else of the writer's end."""

    def __init__(self, task: asyncio.Task[bool]) -> None:
        self.task = task
        self.awaited = False

    @property
    def is_over(self) -> bool:
        return self.task.done() and (self.awaited or self.task.cancelled() or self.task.exception() is None)

    def __await__(self) -> Generator[Any, None, bool]:
        self.awaited = True
        return self.task.__await__()


class Opened:
    """A writer on its way: enter it, or await what its function writes."""

    def __init__(self, execute: Callable[[Writer], Any] | None, target: str) -> None:
        self._execute = execute
        self._target = target
        self._writer: Writer | None = None

    async def __aenter__(self) -> Writer:
        self._writer = Writer(self._target)
        return self._writer

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._writer is not None and kind is None:
            await self._writer.flush()

    def __await__(self) -> Generator[Any, None, None]:
        return self.wait_until_complete().__await__()

    async def wait_until_complete(self) -> None:
        """Have the function write, and wait until all is written."""
        async with self as out:
            if self._execute is not None:
                result = self._execute(out)
                if inspect.isawaitable(result):
                    await result


def writer(execute: Callable[[Writer], Any] | None = None, *, target: str = "self") -> Opened:
    """`async with stream.writer(target="root") as out: await out.write(…)`, or `await stream.writer(execute)`.

    `execute` is called with the writer. `target`: "self", "parent", "root", or the id of a run or session.
    """
    return Opened(execute, target)


async def append(value: Chunk | str, *, target: str = "self") -> bool:
    """Write one chunk, or a text as a `data-text` chunk; False when the turn that it is for has ended."""
    chunk = {"type": "data-text", "data": value} if isinstance(value, str) else value
    return await Writer(target).send([chunk])


async def pipe(source: Any, *, target: str = "self") -> bool:
    """Write the chunks of a source (see `chat.pipe`), but not its start and end; False when the turn ended first."""
    out = Writer(target)
    waiting: list[Mapping[str, Any]] = []
    async for chunk in chunks_of(source):
        if chunk["type"] in _FRAME:
            continue
        waiting.append(chunk)
        if out._outlet is not None or len(waiting) == _BATCH:
            if not await out.send(waiting):
                return False
            waiting = []
    return await out.send(waiting) if waiting else True


async def read(run_id: str) -> AsyncIterator[dict[str, Any]]:
    """The chunks of a run (or session): those of its current turn as they come, else those of its last one.

    Raises: NotFound.
    """
    session_id, _ = place_of(run_id)
    async for chunk in current_launcher().read(session_id):
        yield chunk


def _check(chunks: Sequence[Chunk]) -> None:
    for chunk in chunks:
        validate_chunk(dict(chunk))
        if chunk["type"] in _FRAME:
            raise BadRequest(f"a {chunk['type']} chunk belongs to the answer itself", field="type")


def place_of(target: str) -> tuple[str, int | None]:
    """The session of a target, and the turn of it that must run."""
    above = _above()
    if target in ("parent", "root"):
        ancestor = above.get(target)
        if ancestor is None:
            raise ConfigError(f'there is no {target} here: a run that was started from outside has target="self" alone')
        return ancestor.session_id, ancestor.turn
    for ancestor in above.values():
        if target in (ancestor.run_id, ancestor.session_id):
            return ancestor.session_id, ancestor.turn
    return (target if target.startswith(SESSION_PREFIX) else session_of_run(target)), None


def _is_here(session_id: str) -> bool:
    """Whether a session is the one that this code answers; what is written there keeps its place in the answer."""
    run, turn = current_task_run(), find_turn()
    return session_id == (run.session_id if run is not None else turn.session_id if turn is not None else None)


def _above() -> dict[str, Ancestor]:
    """The runs that this code may name; an agent is its own root."""
    run, turn = current_task_run(), find_turn()
    if run is not None:
        trace = run.trace
        named = {"parent": trace.parent, "root": trace.root}
        return {name: ancestor for name, ancestor in named.items() if ancestor is not None}
    if turn is not None:
        return {"root": Ancestor(session_id=turn.session_id, run_id=turn.run_id, turn=turn.number)}
    return {}
