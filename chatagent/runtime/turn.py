"""One turn, start to end: the stream, the author's code in its order, and how it went."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from chatagent.agent import Agent, Recovery
from chatagent.agent.event import Reason
from chatagent.agent.history import History
from chatagent.agent.local import enter_locals
from chatagent.agent.turn import enter_turn
from chatagent.errors import BadRequest, StoreDown
from chatagent.llm import ModelContext, StreamOptions, current_context
from chatagent.runtime.attempt import begin
from chatagent.runtime.author import Author, Mint
from chatagent.runtime.boundary import Boundary
from chatagent.runtime.call import call, run_to_end
from chatagent.runtime.compactor import Compactor
from chatagent.runtime.control import TurnControl
from chatagent.runtime.conversation import through, with_answer
from chatagent.runtime.ending import Ending, Result, words_for
from chatagent.runtime.injection import Injection
from chatagent.runtime.intake import Intake
from chatagent.runtime.model_view import ModelView
from chatagent.runtime.new_turn import new_turn, open_response
from chatagent.runtime.pipe import Pipe
from chatagent.runtime.port import Claim, Commit, Held, Outcome, Store
from chatagent.runtime.run import Run
from chatagent.runtime.usage import add_usage
from chatagent.runtime.writer import TurnLog
from chatagent.signal import AbortController
from chatagent.ui.reading import waiting_calls

logger = logging.getLogger(__name__)

#: Bytes of a chunk around the output of a tool.
_OUTPUT_FRAME_BYTES = 1024
#: What a tool call that was cut off is answered.
_STOPPED_CALL = "The tool call was stopped."
_FAILED_CALL = "The tool call was not finished."
#: Told to a page whose answer to a tool call came too late.
_NOTHING_NEW = "This was answered already; reload the chat to see how it went on."


@dataclass(frozen=True, slots=True)
class TurnOptions:
    """Limits of a turn."""

    max_attempts: int = 3
    max_chunk_bytes: int = 1024 * 1024
    #: Model of agents that name none.
    model: str = "demo/assistant"
    #: Seconds that a run stays warm after its turn, unless its agent says otherwise.
    idle_timeout_s: float = 30.0
    #: Makes the tokens that hooks are given.
    mint: Mint | None = None


class AnsweredTurn:
    """Answers one claimed record.

    `answer` runs the author's code and ends the stream; `commit` says what to store; `complete` runs the last hooks.
    """

    def __init__(
        self, claim: Claim, agent: Agent[Any], run: Run, log: TurnLog, options: TurnOptions, store: Store
    ) -> None:
        self.claim = claim
        self.agent = agent
        self.run = run
        self.stop = AbortController()
        self.cancel = AbortController()
        self._result = Result(forgotten=claim.forgotten, chat_started=claim.chat_started)
        self._last_usage: dict[str, Any] = {}
        self._expired: BaseException | None = None
        #: The client data fit, so that hooks may be called.
        self._known = False
        self._log = log
        self._options = options
        self._store = store
        self._attempt = begin(claim, run.history)
        self._told: Sequence[dict[str, Any]] = self._attempt.told
        self._response = open_response(claim, agent, self._attempt, log)
        self._pipe = Pipe(self._response, log, self.stop.signal, self._add_usage, self._stream_options)
        self._view = ModelView(run)
        self._injection = Injection(claim, store)
        attempt = self._attempt
        history = attempt.applied.messages
        if attempt.continues:
            history = with_answer(history, self._response.snapshot())
        self._control = TurnControl(
            self._response, self._pipe, run, History(history), self._injection.put, system=agent.options.system
        )
        self._turn = new_turn(
            claim, agent, run, self._control, self._view, model=options.model, stop=self.stop, cancel=self.cancel
        )
        self._author = Author(agent, self._turn, run, self._control, options.mint)
        self._intake = Intake(claim, self._attempt, run, self._control, self._response)
        self._compactor = Compactor(self._turn, agent, run, self._view, self._control, self._author)
        self._boundary = Boundary(self._turn, agent, run, claim, store, self._injection, self._compactor)
        self._boundary.known = self._intake.consumed
        self._ending = Ending(claim, run, self._control, self._intake, self._response, self._view)

    # -- what the engine sees and says --------------------------------------------------------------------------

    @property
    def outcome(self) -> Outcome:
        """How it ended, once `answer` is through."""
        return self._result.outcome

    @property
    def error(self) -> BaseException | None:
        """Why it failed."""
        return self._result.error

    @property
    def idle_s(self) -> float:
        """Seconds that the run stays warm after this turn."""
        own = self.agent.options
        preload = own.preload_idle_timeout_s if self.claim.record.kind == "preload" else None
        for wanted in (preload, self.run.idle_timeout_s, own.idle_timeout_s):
            if wanted is not None:
                return wanted
        return self._options.idle_timeout_s

    @property
    def run_s(self) -> float:
        """Seconds that the run outlives it; 0 when it ends with it, or the whole chat does."""
        return 0 if self._control.closing is not None else self._run_s()

    def on_message(self) -> None:
        """Something arrived in the inbox while this turn runs."""
        self._boundary.ring()

    def held(self, held: Held) -> None:
        """What a write or a renewal was answered."""
        self._result.forgotten = self._result.forgotten or held.forgotten
        if held.unread:
            self._boundary.ring()
        if held.stopped:
            self.stop.abort("stopped")

    def expire(self, error: BaseException) -> None:
        """Time is up: end as failed with `error`; code that does not heed the signal is cancelled soon."""
        self._expired = error
        self.cancel.abort(error)

    def fail(self, error: BaseException) -> None:
        """End the answer with an error."""
        self._result.error, self._result.outcome = error, "failed"
        self._response.error_text = words_for(error, self._stream_options()["on_error"])

    # -- the stream ---------------------------------------------------------------------------------------------

    async def answer(self) -> None:
        """Run the agent until its answer has ended. Raises: LeaseLost; CancelledError when cancelled from outside."""
        if self.claim.record.kind == "message":
            self._open()
        if self._owed():
            self._judge(await run_to_end(self._work(), self._turn.signal, f"turn {self.claim.chat_id}"))
        self._close()

    def _open(self) -> None:
        if not self._attempt.resumed:
            self._response.start()
        if self._attempt.handed or (self._attempt.resumed and not self._author.wants("on_recovery_boot")):
            self._tell_kept()

    def _tell_kept(self) -> None:
        """Take readers of a dead attempt back to what is kept of it."""
        told, self._told = self._told, ()
        for chunk in told if self._intake.continues else ():
            self._log.write(chunk)

    def _owed(self) -> bool:
        """Whether the agent has something to do at all; settles the outcome when it has not."""
        applied = self._attempt.applied
        if self.claim.stopped:
            self.stop.abort("stopped")
            self._result.outcome = "stopped"
        elif self.claim.attempt > (self.agent.options.max_attempts or self._options.max_attempts):
            self.fail(RuntimeError(f"the turn died {self.claim.attempt - 1} times"))
        elif self.claim.record.kind != "message":
            return True
        elif not applied.answered:
            # A page that was overtaken would send the same again and again: an error is where it comes to rest.
            self._result.outcome = "waiting"
            self._response.error_text = _NOTHING_NEW
        elif applied.response and waiting_calls(applied.response):
            self._result.outcome = "waiting"
            self._response.finish_reason = "tool-calls"
        else:
            return True
        return False

    def _judge(self, error: BaseException | None) -> None:
        """Say how it went, from what the author's code raised."""
        cancelled = isinstance(error, asyncio.CancelledError)
        if error is not None and not self.stop.signal.aborted and not (cancelled and self._expired is not None):
            logger.error("turn failed", exc_info=error)
            self.fail(RuntimeError("the turn was cancelled by its own code") if cancelled else error)
        if self.stop.signal.aborted:
            self._result.outcome = "stopped"
        elif self._expired is not None:
            self.fail(self._expired)
        elif self._response.error_text is not None:
            self._result.outcome = "failed"
            self._result.error = self._result.error or self._pipe.error

    def _close(self) -> None:
        stopped = self.outcome == "stopped"
        if stopped:
            self._response.error_text = None
            self._result.raw = self._response.snapshot()
        self._tell_kept()
        dangling = {"stopped": _STOPPED_CALL, "failed": _FAILED_CALL}.get(self.outcome)
        self._response.end(stopped=stopped, dangling=dangling)

    # -- the author's code --------------------------------------------------------------------------------------

    async def _work(self) -> None:
        turn, author, intake = self._turn, self._author, self._intake
        await self._boot()
        if self.claim.record.kind == "preload":
            await author.preload()
            return
        recovery = await self._ask_recovery()
        turn.tools = self._view.tools = await author.tools()
        if self.claim.record.kind == "action":
            owed = await intake.act(author, self.agent, turn, self._view)
        else:
            owed = await intake.receive(author, self._store, recovery)
        if not owed:
            return
        self._tell_kept()
        await self._start()
        current_context.set(self._model_context())
        handover = self.claim.record.handover
        if handover is None or not handover.final:
            await self._pipe(await call(self.agent.run, turn))
        if self.stop.signal.aborted:
            self._result.outcome = "stopped"
        if self._response.error_text is None and self._expired is None:
            total = self._ending.total_usage(self._result)
            if self.outcome != "stopped":
                await self._compactor.after(self._intake.messages(), self._last_usage, total)
            await author.before_complete(lambda: self._ending.told(self._result))

    async def _boot(self) -> None:
        """Make the author's code ready for this turn; nothing of it is called with client data that do not fit."""
        self._enter()
        self._turn.client_data = self.agent.read_client_data(self._turn.metadata)
        self._known = True
        await self._author.boot(resumed=self.claim.run_state == "suspended")

    def _enter(self) -> None:
        enter_turn(self._turn)
        enter_locals(self.run.locals)

    async def _ask_recovery(self) -> Recovery | None:
        """What the author wants with a half answer, where there is one."""
        partial = self._attempt.partial
        if partial is None or not self._author.wants("on_recovery_boot"):
            return None
        unread = (self.claim.record, *self.claim.waiting)
        users = [record.user_message for record in unread if record.user_message is not None]
        return await self._author.recover(partial, self.run.history, users, self.claim.cause or "crashed")

    async def _start(self) -> None:
        """Everything between the messages and the agent."""
        turn, author, history = self._turn, self._author, self._control.history
        self._take_injected()
        turn.messages = await self._model_messages()
        version = history.version
        if not self._result.chat_started:
            await author.chat_start()
            self._result.chat_started = True
            if author.wants("on_chat_start"):
                await self._mark({"chat_started": b"1", "locals": self.run.state(self._run_s())})
        if history.version != version:
            version, turn.messages = history.version, await self._model_messages()
        await author.turn_start()
        if history.version != version:
            turn.messages = await self._model_messages()

    async def _mark(self, fields: dict[str, bytes]) -> None:
        try:
            await self._store.mark(self.claim, fields)
        except StoreDown:
            logger.warning("session not marked, Redis is away; a crash of this turn would run on_chat_start again")

    def _take_injected(self) -> None:
        """What was injected since the last turn: messages join the conversation, instructions are for this answer."""
        messages, asked_id = self._control.history.messages, self._intake.asked_id
        self.run.lane = self._injection.begin(self.run.lane, asked_id, messages, self.run.history)
        self._boundary.instructions = self._injection.instructions()

    async def _model_messages(self) -> list[dict[str, Any]]:
        messages = self._control.history.messages
        if self._intake.continues:
            # An answer that goes on in the middle of the chat goes on from there.
            messages = through(messages, self._response.message_id)
        reason: Reason = "compaction-rebuild" if self.run.lane.sums_up(messages) else "run"
        return await self._author.prepare(self._view.convert(messages), reason)

    def _model_context(self) -> ModelContext:
        options, prompt = self.agent.options, self.run.prompt
        stream: dict[str, Any] = self._stream_options()
        return ModelContext(
            signal=self._turn.signal,
            tools=self._view.tools,
            system=options.system if prompt is None else prompt,
            response=self._response.snapshot() if self._intake.continues else None,
            open_step=self._intake.continues and self._attempt.open_step,
            options=StreamOptions(**stream),
            max_output_bytes=self._options.max_chunk_bytes - _OUTPUT_FRAME_BYTES,
            on_usage=self._add_usage,
            plan_step=self._boundary,
        )

    def _stream_options(self) -> dict[str, Any]:
        options = self.agent.options
        return {**options.stream_options, "on_error": options.errors, **self._control.stream_options}

    def _add_usage(self, usage: dict[str, Any]) -> None:
        self._last_usage = usage
        self._result.usage = add_usage(self._result.usage, usage)

    # -- the end ------------------------------------------------------------------------------------------------

    def commit(self, *, warm_s: float) -> Commit:
        """What to store; `warm_s` is 0 when this process does not keep the run."""
        self.run.preloaded = self.run.preloaded or self.claim.record.kind == "preload"
        self._result.counts = self._counts
        self._result.injected = self._injection.taken
        self._result.run_s = self._run_s()
        return self._ending.commit(self._result, self._log.rest(), self._boundary.consumed, warm_s)

    async def complete(self, last_event_id: str) -> None:
        """Run `on_turn_complete`; what it raises is logged, since the turn is committed."""
        await self._control.join_deferred()
        self.run.leave = self._leave
        if self.outcome == "waiting" or not self._counts or not self._author.wants("on_turn_complete"):
            return
        await self._afterwards(lambda: self._complete(last_event_id))

    async def _complete(self, last_event_id: str) -> None:
        if not self._known:
            if isinstance(self.error, BadRequest):
                return
            # It was over before it began.
            await self._boot()
        await self._author.complete(lambda: self._ending.told(self._result), last_event_id)

    async def _leave(self) -> None:
        """Run `on_chat_suspend`: the process forgets the run after this."""
        if self._author.wants("on_chat_suspend"):
            await self._afterwards(self._author.suspend)

    async def _afterwards(self, hooks: Callable[[], Awaitable[None]]) -> None:
        """Run hooks on a committed turn."""
        self._enter()
        await self._ending.afterwards(self._store, self._result, hooks, self._run_s)

    @property
    def _counts(self) -> bool:
        """Whether it is a turn of the chat: actions and preloads are none, unless an action asked for one."""
        return self.claim.record.kind == "message" or self._turn.trigger == "action-turn"

    def _run_s(self) -> float:
        """Seconds that the run outlives this turn; 0 ends it."""
        own = self.agent.options
        if self._control.ended or self.claim.run_turn + self._counts >= own.max_turns:
            return 0
        if self.claim.record.kind == "preload":
            if own.exit_after_preload_idle:
                return self.idle_s
            if own.preload_timeout_s is not None:
                return own.preload_timeout_s
        return own.turn_timeout_s if self.run.turn_timeout_s is None else self.run.turn_timeout_s
