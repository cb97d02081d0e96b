"""What `chat.*` does inside a running turn: the runtime's side of `chatagent.agent.turn.Control`."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from chatagent.agent.event import ModelMessage, UIMessage
from chatagent.agent.history import History
from chatagent.agent.options import StreamOptions
from chatagent.errors import BadRequest, ConfigError
from chatagent.llm import current_context
from chatagent.runtime.pipe import Pipe
from chatagent.runtime.response import Response
from chatagent.runtime.run import Run
from chatagent.thread import running_loop, wait_on

logger = logging.getLogger(__name__)

#: Seconds that `on_turn_complete` waits for deferred work.
DEFER_S = 5.0

Inject = Callable[[Sequence[ModelMessage]], Awaitable[None]]


class TurnControl:
    """One turn's controls. `write` and `merge` make it the writer of hooks, too."""

    def __init__(
        self, response: Response, pipe: Pipe, run: Run, history: History, inject: Inject, *, system: Any
    ) -> None:
        self.history = history
        self.closing: tuple[str | None] | None = None
        self.ended = False
        self.stream_options: StreamOptions = {}
        self._response = response
        self._pipe = pipe
        self._run = run
        self._inject = inject
        #: The agent's prompt, where the run has none.
        self._system = system
        self._loop = asyncio.get_running_loop()
        self._deferred: set[asyncio.Future[Any]] = set()

    @property
    def prompt(self) -> Any:
        return self._run.prompt

    def write(self, chunk: Mapping[str, Any]) -> None:
        if not isinstance(chunk, Mapping):
            raise BadRequest("a chunk is a dict with a `type`; text is piped: await chat.pipe(text)")
        if running_loop() is self._loop:
            self._response.write(dict(chunk))
        else:
            # Plain hooks, agents and tools run in threads, and the answer grows on the loop alone.
            wait_on(self._loop, self._write(chunk))

    async def pipe(self, source: Any) -> UIMessage:
        return await self._pipe(source)

    async def merge(self, source: Any) -> UIMessage:
        return await self._pipe(source)

    def defer(self, work: Awaitable[Any]) -> None:
        if not inspect.isawaitable(work):
            raise ConfigError(f"chat.defer takes something to await, not a {type(work).__name__}: call the coroutine")
        # Plain hooks and agents run in threads.
        self._loop.call_soon_threadsafe(self._start_deferred, work)

    async def inject(self, messages: Sequence[ModelMessage]) -> None:
        await self._inject(messages)

    def set_prompt(self, prompt: Any) -> None:
        self._run.prompt = prompt
        context = current_context.get()
        if context is not None:
            current_context.set(replace(context, system=self._system if prompt is None else prompt))

    def set_stream_options(self, options: StreamOptions) -> None:
        self.stream_options = {**self.stream_options, **options}
        context = current_context.get()
        if context is not None:
            current_context.set(replace(context, options=replace(context.options, **options)))

    def set_turn_timeout(self, turn_timeout_s: float) -> None:
        self._run.turn_timeout_s = turn_timeout_s

    def set_idle_timeout(self, idle_timeout_s: float) -> None:
        self._run.idle_timeout_s = idle_timeout_s

    def end_run(self) -> None:
        self.ended = True

    def close(self, reason: str | None) -> None:
        self.closing = (reason,)

    async def join_deferred(self) -> None:
        """Wait for deferred work, for a while; what takes longer goes on by itself."""
        await asyncio.sleep(0)
        if self._deferred:
            _, late = await asyncio.wait(list(self._deferred), timeout=DEFER_S)
            if late:
                logger.warning("deferred work goes on after the turn", extra={"count": len(late)})

    async def _write(self, chunk: Mapping[str, Any]) -> None:
        self._response.write(dict(chunk))

    def _start_deferred(self, work: Awaitable[Any]) -> None:
        task = asyncio.ensure_future(work)
        self._deferred.add(task)
        task.add_done_callback(self._deferred_done)

    def _deferred_done(self, task: asyncio.Future[Any]) -> None:
        self._deferred.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("deferred work failed", exc_info=task.exception())
