"""`chat.stream`: chunks beside the answer, into this run's stream or that of a run above.

They reach clients in their place and never become part of the stored message. A `data-…` chunk with the type and id of
an earlier one replaces it there.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
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
    """Writes chunks to one target. Calls of one writer are written in order, each once."""

    def __init__(self, target: str) -> None:
        self._outlet = current_outlet() if target == "self" else None
        self._session_id, self._turn = ("", None) if target == "self" else place_of(target)
        if target == "self" and self._outlet is None:
            raise ConfigError("there is no stream here: write from an agent, its hooks or tools, or a task")
        self._id = new_id()
        self._number = 0

    async def write(self, chunk: Chunk) -> bool:
        """Write one chunk; False when the turn that it is for has ended. Raises: BadRequest for one that is none."""
        return await self.write_all([chunk])

    async def write_all(self, chunks: Sequence[Chunk]) -> bool:
        """Write chunks at once."""
        for chunk in chunks:
            validate_chunk(dict(chunk))
            if chunk["type"] in _FRAME:
                raise BadRequest(f"a {chunk['type']} chunk belongs to the answer itself", field="type")
        if self._outlet is not None:
            for chunk in chunks:
                await self._outlet(chunk)
            return True
        self._number += 1
        return await current_launcher().append(self._session_id, self._turn, self._id, self._number, chunks)


@asynccontextmanager
async def _opened(target: str) -> AsyncIterator[Writer]:
    yield Writer(target)


def writer(execute: Callable[[Writer], Any] | None = None, *, target: str = "self") -> Any:
    """`async with stream.writer(target="root") as out: await out.write(…)`, or `await stream.writer(execute)`.

    `execute` is called with the writer. `target`: "self", "parent", "root", or the id of a run or session.
    """
    return _opened(target) if execute is None else _executed(execute, target)


async def append(value: Chunk | str, *, target: str = "self") -> bool:
    """Write one chunk, or a text as a `data-text` chunk; False when the turn that it is for has ended."""
    chunk = {"type": "data-text", "data": value} if isinstance(value, str) else value
    return await Writer(target).write(chunk)


async def pipe(source: Any, *, target: str = "self") -> bool:
    """Write the chunks of a source (see `chat.pipe`), but not its start and end; False when the turn ended first."""
    out = Writer(target)
    waiting: list[Mapping[str, Any]] = []
    async for chunk in chunks_of(source):
        if chunk["type"] in _FRAME:
            continue
        waiting.append(chunk)
        if out._outlet is not None or len(waiting) == _BATCH:
            if not await out.write_all(waiting):
                return False
            waiting = []
    return await out.write_all(waiting) if waiting else True


async def read(run_id: str) -> AsyncIterator[dict[str, Any]]:
    """The chunks of a run (or session): those of its current turn as they come, else those of its last one.

    Raises: NotFound.
    """
    session_id, _ = place_of(run_id)
    async for chunk in current_launcher().read(session_id):
        yield chunk


async def _executed(execute: Callable[[Writer], Awaitable[Any] | Any], target: str) -> None:
    result = execute(Writer(target))
    if inspect.isawaitable(result):
        await result


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
