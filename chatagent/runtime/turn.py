"""One turn, start to end: what is answered, the author's code around it, and what is committed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from chatagent.agent import Agent, Turn
from chatagent.agent.event import Recovery, RunContext
from chatagent.agent.history import History
from chatagent.agent.local import enter_locals
from chatagent.agent.turn import enter_turn
from chatagent.errors import BadRequest, LeaseLost, StoreDown
from chatagent.ids import new_id
from chatagent.llm import ModelContext, StreamOptions, Tool, current_context
from chatagent.llm.context import MASKED_ERROR
from chatagent.record import control_kind
from chatagent.runtime import lane
from chatagent.runtime.author import Author, Mint
from chatagent.runtime.boundary import Boundary
from chatagent.runtime.call import call
from chatagent.runtime.control import TurnControl
from chatagent.runtime.conversation import Applied, Changes, apply, changes, steered_ids, text_of, waiting_calls
from chatagent.runtime.pipe import Pipe
from chatagent.runtime.port import Claim, Commit, Held, Outcome, Store
from chatagent.runtime.response import Response
from chatagent.runtime.run import Run
from chatagent.runtime.usage import add_usage
from chatagent.runtime.writer import TurnLog
from chatagent.signal import AbortController, AbortSignal
from chatagent.ui import cleanup_aborted_parts, decode, encode, recover, to_model_messages

logger = logging.getLogger(__name__)

#: Seconds that code which does not heed its signal has after a stop, before it is cancelled.
STOP_GRACE_S = 2.0
#: What a tool call that was cut off is answered.
_STOPPED_CALL = "The tool call was stopped."
_FAILED_CALL = "The tool call was not finished."
#: Told to a page whose answer to a tool call came too late.
_NOTHING_NEW = "This was answered already; reload the chat to see how it went on."
_TITLE_LENGTH = 80


@dataclass(frozen=True, slots=True)
class TurnOptions:
    """Limits of a turn."""

    max_attempts: int = 3
    max_chunk_bytes: int = 1024 * 1024
    #: Model of agents that name none.
    model: str = "demo/assistant"
    #: Seconds a run stays warm after its turn, unless its agent says otherwise.
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
        self.outcome: Outcome = "completed"
        self.error: BaseException | None = None
        self.forgotten = claim.forgotten
        self._log = log
        self._options = options
        self._store = store
        self._applied = apply(run.history, claim.record)
        self._before = run.history
        self._refused = False
        self._settled = False
        self._started = claim.chat_started
        self._consumed: list[int] = []
        self._raw: dict[str, Any] | None = None
        self._usage: dict[str, Any] = {}
        self._recover()
        history = History(self._applied.messages)
        if self._applied.response is not None or self._resumed:
            history = History([*self._kept(), self._snapshot()])
        self.control = TurnControl(self.response, self._pipe, run, history, self._inject)
        self.control.check = agent.parts.check
        self.turn = run.turn = self._make_turn()
        self._author = Author(agent, self.turn, run, self.control, options.mint)
        self._boundary = Boundary(self.turn, agent, run, claim, store, self.control, self._author)

    def _recover(self) -> None:
        """Go on from what a dead attempt left: its completed steps are kept, the broken one is redone."""
        chunks = [decode(record) for record in self.claim.tail if control_kind(record) is None]
        initial = self._applied.response
        self._resumed = bool(chunks)
        self._told: list[dict[str, Any]] = []
        self._open_step = False
        if chunks:
            recovered = recover(chunks, initial)
            initial, self._told = recovered.message, recovered.chunks
            self._open_step = recovered.open_step
            # What was steered into a step that is kept was answered there.
            steered = steered_ids(initial)
            self._consumed += [record.seq for record in self.claim.waiting if record.message_id in steered]
        make_id = self.agent.options.stream_options.get("generate_message_id")
        message_id = initial["id"] if initial is not None else make_id() if make_id is not None else new_id("msg_")
        kind = self.claim.record.kind
        self.response = Response(
            message_id,
            initial,
            self._log.write,
            open_step=self._open_step,
            started=self._resumed,
            bare=kind == "preload",
        )
        self._pipe = Pipe(self.response, self._log, self.stop.signal)

    # -- what the engine tells ----------------------------------------------------------------------------------

    def on_message(self) -> None:
        """Something arrived in the inbox while this turn runs."""
        self._boundary.ring()

    def held(self, held: Held) -> None:
        """What a write or a renewal was answered."""
        self.forgotten = self.forgotten or held.forgotten
        if held.unread:
            self._boundary.ring()
        if held.stopped:
            self.stop.abort("stopped")

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
        """Seconds that the run outlives this turn; 0 ends it."""
        own, counts = self.agent.options, self._counts
        if self.control.ended or self.claim.run_turn + counts >= own.max_turns:
            return 0
        if self.claim.record.kind == "preload":
            if own.exit_after_preload_idle:
                return self.idle_s
            if own.preload_timeout_s is not None:
                return own.preload_timeout_s
        return own.turn_timeout_s if self.run.turn_timeout_s is None else self.run.turn_timeout_s

    # -- the stream ---------------------------------------------------------------------------------------------

    async def answer(self) -> None:
        """Run the agent until its answer has ended. Raises: LeaseLost; CancelledError when cancelled from outside."""
        if self.claim.record.kind == "message":
            self._open()
        if self._owed():
            work = asyncio.create_task(self._work(), name=f"turn {self.claim.chat_id}")
            remove = self.stop.signal.add_listener(lambda: _cancel_later(work))
            try:
                await self._outcome_of(work)
            finally:
                remove()
        self._close()

    def fail(self, error: BaseException) -> None:
        """End the answer with an error."""
        self.error = error
        self.outcome = "failed"
        on_error = self.agent.options.errors
        if on_error is not None:
            self.response.error_text = on_error(error)
        else:
            self.response.error_text = str(error) if isinstance(error, BadRequest) else MASKED_ERROR

    def _open(self) -> None:
        if not self._resumed:
            self.response.start()
        for chunk in self._told:
            self._log.write(chunk)

    def _owed(self) -> bool:
        """Whether the agent has something to do at all; settles the outcome when it has not."""
        if self.claim.stopped:
            self.stop.abort("stopped")
            self.outcome = "stopped"
        elif self.claim.attempt > (self.agent.options.max_attempts or self._options.max_attempts):
            self.fail(RuntimeError(f"the turn died {self.claim.attempt - 1} times"))
        elif self.claim.record.kind != "message":
            return True
        elif not self._applied.answered:
            # A page that was overtaken would send the same again and again: an error is where it comes to rest.
            self.outcome = "waiting"
            self.response.error_text = _NOTHING_NEW
        elif self._applied.response and waiting_calls(self._applied.response):
            self.outcome = "waiting"
            self.response.finish_reason = "tool-calls"
        else:
            return True
        return False

    async def _outcome_of(self, work: asyncio.Task[None]) -> None:
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            if not work.done():
                work.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await work
                raise
            if not self.stop.signal.aborted:
                raise
        except LeaseLost:
            raise
        except Exception as error:
            if not self.stop.signal.aborted:
                logger.exception("turn failed")
                self.fail(error)
        if self.stop.signal.aborted:
            self.outcome = "stopped"
        elif self.response.error_text is not None:
            self.outcome = "failed"

    def _close(self) -> None:
        if self.outcome == "stopped":
            self.response.error_text = None
        self._raw = self._snapshot() if self.outcome == "stopped" else None
        dangling = {"stopped": _STOPPED_CALL, "failed": _FAILED_CALL}.get(self.outcome)
        self.response.end(stopped=self.outcome == "stopped", dangling=dangling)

    # -- the author's code --------------------------------------------------------------------------------------

    async def _work(self) -> None:
        turn, author = self.turn, self._author
        enter_turn(turn)
        enter_locals(self.run.locals)
        turn.client_data = self.agent.read_client_data(turn.metadata)
        await author.boot(resumed=self.claim.run_state == "suspended")
        if self.claim.record.kind == "preload":
            await author.preload()
            return
        recovery = await self._ask_recovery()
        turn.tools = await author.tools()
        if not (await self._act() if self.claim.record.kind == "action" else await self._receive(recovery)):
            return
        await self._start()
        current_context.set(self._model_context())
        await self._pipe(await call(self.agent.run, turn))
        if self.response.error_text is None:
            await self._boundary.compact_after(self._usage, self._total_usage())
            await author.before_complete(self._result)

    async def _ask_recovery(self) -> Recovery | None:
        if not self._resumed or self.response.empty or not self._author.wants("on_recovery_boot"):
            return None
        users = [
            record.payload["message"]
            for record in (self.claim.record, *self.claim.waiting)
            if (record.payload.get("message") or {}).get("role") == "user"
        ]
        return await self._author.recover(self._snapshot(), self.run.history, users, self.claim.cause or "crashed")

    async def _receive(self, recovery: Recovery | None) -> bool:
        """Take the incoming messages in; whether there is something to answer."""
        incoming = await self._incoming()
        try:
            validated = await self._author.validate(incoming) if incoming else incoming
        except Exception:
            self._refused = True
            raise
        hydrated = await self._author.hydrate(self.run.history, validated)
        if hydrated is not None:
            record = self.claim.record
            answers = record.trigger != "submit-message" or any(each.get("role") == "assistant" for each in validated)
            self._become(apply(hydrated, record).messages if answers else hydrated)
        elif validated is not incoming and validated != incoming:
            self._become([*self.control.history.messages[: -len(incoming)], *validated])
        return self._apply_recovery(recovery)

    async def _incoming(self) -> list[dict[str, Any]]:
        """The new messages of this turn: the claimed one, and those that are merged into it."""
        message = self.claim.record.payload.get("message")
        if self.claim.record.trigger != "submit-message" or message is None:
            return []
        if message.get("role") != "user" or self._resumed:
            return [message]
        messages = self._applied.messages[-1:]
        if any(record.busy == "merge" for record in (self.claim.record, *self.claim.waiting)) and self.claim.waiting:
            for record in await self._store.take(self.claim, {"merge"}):
                merged = record.payload.get("message") or {}
                if record.trigger == "submit-message" and merged.get("role") == "user":
                    messages = [*messages, merged]
                    self._consumed.append(record.seq)
        self._become([*self._applied.messages[:-1], *messages])
        return messages

    def _apply_recovery(self, recovery: Recovery | None) -> bool:
        """Do with half an answer what the author wants; whether this turn still answers."""
        if recovery is None:
            return True
        chain = None if recovery.chain is None else list(recovery.chain)
        wanted = None if recovery.recovered_turns is None else {each.get("id") for each in recovery.recovered_turns}
        own = (self.claim.record.payload.get("message") or {}).get("id")
        if wanted is not None:
            self._consumed += [
                record.seq
                for record in self.claim.waiting
                if record.message_id is not None and record.message_id not in wanted
            ]
        if chain is None and (wanted is None or own in wanted):
            return True
        history = chain if chain is not None else self._kept()
        if wanted is not None and own not in wanted:
            self._become(history)
            self._settled = True
            return False
        known = {each.get("id") for each in history}
        self._become(history if own in known else [*history, *self._applied.messages[-1:]])
        self.response.restart(new_id("msg_") if self.response.message_id in known else None)
        self._open_step = False
        self._resumed = False
        return True

    async def _act(self) -> bool:
        """Run an action; whether it wants the chat answered."""
        turn = self.turn
        if not self._author.wants("on_action"):
            logger.warning("action ignored: the agent has no on_action hook", extra={"agent": self.agent.id})
            return False
        action = self.agent.read_action(self.claim.record.payload.get("action"))
        hydrated = await self._author.hydrate(self.run.history, [])
        if hydrated is not None:
            self._become(hydrated)
        turn.messages = await self._model_messages()
        wanted = await self._author.act(action)
        if wanted is None:
            return False
        if wanted.message is not None:
            self.control.history.set([*self.control.history.messages, wanted.message])
        turn.trigger = "action-turn"
        self.response.start()
        return True

    async def _start(self) -> None:
        """Everything between the messages and the agent."""
        turn, author, history = self.turn, self._author, self.control.history
        self._take_injected()
        turn.messages = await self._model_messages()
        version = history.version
        if not self._started:
            await author.chat_start()
            self._started = True
            if author.wants("on_chat_start"):
                fields = {"chat_started": b"1", "locals": self.run.state(self.run_s, self.run.previous_usage or {})}
                await self._mark(fields)
        await author.turn_start()
        if history.version != version:
            turn.messages = await self._model_messages()

    async def _mark(self, fields: dict[str, bytes]) -> None:
        try:
            await self._store.mark(self.claim, fields)
        except StoreDown:
            logger.warning("session not marked, Redis is away; a crash of this turn would run on_chat_start again")

    def _take_injected(self) -> None:
        """What was injected since the last turn joins the conversation behind its newest message."""
        place = str(self.control.history.messages[-1].get("id")) if self.control.history.messages else ""
        joined = [message for message in self.claim.injected if message.get("role") != "system"]
        self.run.lane = self.run.lane.noted(place, joined)

    async def _model_messages(self) -> list[dict[str, Any]]:
        return await self._author.prepare(self._convert(self.control.history.messages), "run")

    def _convert(self, messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        return lane.model_messages(messages, self.run.lane, self._to_model_messages)

    def _make_turn(self) -> Turn[Any]:
        claim, record, run = self.claim, self.claim.record, self.run
        return Turn(
            chat_id=claim.chat_id,
            session_id=claim.session_id,
            run_id=run.run_id,
            number=claim.turn,
            trigger=record.trigger if record.kind == "message" else record.kind,
            client_data=None,
            messages=[],
            tools={},
            model=self.agent.options.model or self._options.model,
            signal=AbortSignal.any(self.stop.signal, self.cancel.signal),
            stop_signal=self.stop.signal,
            cancel_signal=self.cancel.signal,
            to_model_messages=self._to_model_messages,
            control=self.control,
            ctx=RunContext(
                self.agent.id, claim.session_id, run.run_id, claim.attempt, claim.user, claim.tags, claim.metadata
            ),
            message_id=record.payload.get("messageId"),
            body=record.payload.get("body") or {},
            metadata=record.payload.get("metadata", claim.metadata),
            user=claim.user,
            tags=claim.tags,
            attempt=claim.attempt,
            continuation=run.continuation,
            previous_run_id=run.previous_run_id,
            preloaded=run.preloaded,
            previous_turn_usage=run.previous_usage,
            total_usage=dict(claim.usage),
        )

    def _model_context(self) -> ModelContext:
        options = self.agent.options
        system = [note["content"] for note in self.claim.injected if note.get("role") == "system"]
        self._boundary.instructions = [*self.run.lane.system, *system]
        stream: dict[str, Any] = {**options.stream_options, "on_error": options.errors, **self.control.stream_options}
        return ModelContext(
            signal=self.turn.signal,
            tools=self.turn.tools,
            system=options.system if self.run.prompt is None else self.run.prompt,
            response=self._snapshot() if self._applied.response is not None or self._resumed else None,
            open_step=self._open_step,
            options=StreamOptions(**stream),
            on_usage=self._add_usage,
            plan_step=self._boundary,
        )

    def _to_model_messages(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        tools: dict[str, Tool] = dict(self.turn.tools)
        last = messages[-1] if messages else None
        pending = [part["toolCallId"] for part in (last or {}).get("parts", ()) if _runnable(part, tools)]
        outputs = {name: tool.to_model_output for name, tool in tools.items() if tool.to_model_output is not None}
        return to_model_messages(messages, keep_tool_calls=pending, tool_outputs=outputs, omit_old_files=True)

    async def _inject(self, messages: Sequence[dict[str, Any]]) -> None:
        await self._store.inject(self.claim.session_id, messages)

    def _add_usage(self, usage: dict[str, Any]) -> None:
        self._usage = add_usage(self._usage, usage)

    # -- the end ------------------------------------------------------------------------------------------------

    def commit(self, *, warm_s: float) -> Commit:
        """What ends the turn. The answer is stored as browsers hold it, even when it is empty."""
        claim, control = self.claim, self.control
        messages = self._messages()
        # Steps of a failed attempt keep their marks; what was injected too late is for the next answer.
        late = [*control.take_injected()]
        place = str(messages[-1].get("id")) if messages else ""
        kept = self.run.lane.noted(place, [each for each in late if each.get("role") != "system"])
        self.run.lane = lane.with_system(kept, late, used=self._counts).pruned(messages)
        run_s = self.run_s
        fields = {
            "usage": orjson.dumps(self._total_usage()),
            "locals": self.run.state(run_s, self._usage or self.run.previous_usage or {}),
            "lane": orjson.dumps(self.run.lane.to_json()),
        }
        if self._started:
            fields["chat_started"] = b"1"
        if not claim.title and (title := _title(messages)):
            fields["title"] = title.encode("utf-8", "replace")
        headers = {
            "in": claim.record.seq,
            "turn": claim.turn,
            "outcome": self.outcome,
            "message_id": self.response.message_id,
            **({"usage": self._usage} if self._usage else {}),
        }
        commit = Commit(
            claim=claim,
            changes=changes(self.run.history, messages),
            records=self._log.rest(),
            headers=headers,
            fields=fields,
            warm_s=warm_s if run_s else 0,
            consumed=tuple(self._consumed + self._boundary.consumed),
            injected=len(claim.injected),
            counts=self._counts,
            silent=claim.record.kind == "preload",
            run_s=run_s,
            close=None if control.closing is None else (control.closing[0] or ""),
        )
        self.run.history = messages
        self.run.previous_usage = self._usage or self.run.previous_usage
        return commit

    async def complete(self, last_event_id: str) -> None:
        """Run `on_turn_complete`; what it raises is logged, since the turn is committed."""
        control, run = self.control, self.run
        control.committed()
        await control.join_deferred()
        if self.outcome == "waiting" or not self._counts or not self._author.wants("on_turn_complete"):
            return
        control.history = History(run.history)
        before = run.locals.snapshot()
        enter_turn(self.turn)
        enter_locals(run.locals)
        try:
            await self._author.complete(self._result, last_event_id)
        except Exception:
            logger.exception("on_turn_complete failed")
        await self._amend(before)

    async def _amend(self, locals_before: dict[str, Any]) -> None:
        """Store what the last hooks changed, unless the chat has moved on."""
        run, history = self.run, self.control.history
        if history.version == 0 and run.locals.snapshot() == locals_before:
            return
        fields = {"locals": run.state(self.run_s, self._usage)}
        try:
            if await self._store.amend(self.claim, changes(run.history, history.messages), fields):
                run.history = list(history.messages)
        except StoreDown:
            logger.warning("changes of on_turn_complete not stored, Redis is away")

    def _result(self) -> dict[str, Any]:
        """What the events at the end of a turn tell of it."""
        message = None if self.response.empty else self.response.message
        stored = self._messages()
        known = {each.get("id") for each in self._before}
        new = [each for each in stored if each.get("id") not in known or each.get("id") == self.response.message_id]
        tidy = cleanup_aborted_parts(message) if message is not None and self.outcome == "stopped" else message
        return {
            "messages": self._convert(stored),
            "ui_messages": list(stored),
            "new_messages": self._to_model_messages(new),
            "new_ui_messages": new,
            "response_message": tidy,
            "raw_response_message": self._raw or message,
            "stopped": self.outcome == "stopped",
            "finish_reason": "error" if self.outcome == "failed" else self.response.finish_reason,
            "usage": dict(self._usage),
            "total_usage": self._total_usage(),
            "error": self.error,
        }

    def _total_usage(self) -> dict[str, Any]:
        """What the chat has used, this turn included."""
        return add_usage(self.claim.usage, self._usage)

    @property
    def _counts(self) -> bool:
        """Whether it is a turn of the chat: actions and preloads are none, unless an action asked for one."""
        return self.claim.record.kind == "message" or self.turn.trigger == "action-turn"

    def _become(self, messages: Sequence[dict[str, Any]]) -> None:
        """Make this the conversation; of an answer that goes on, the part that is there stays its end."""
        history = list(messages)
        continued = self._applied.response is not None or self._resumed
        if continued and not any(each.get("id") == self.response.message_id for each in history):
            history.append(self._snapshot())
        self.control.history.set(history)

    def _messages(self) -> list[dict[str, Any]]:
        """The conversation with its answer."""
        if self._refused or (self.forgotten and self.outcome == "stopped"):
            return self._before
        if self.claim.record.kind == "message" and not self._applied.answered:
            return self._applied.messages
        history, message = self.control.history.messages, self.response.message
        if self._settled or not self.response.started:
            return history
        at = next((at for at, each in enumerate(history) if each.get("id") == message["id"]), None)
        return [*history, message] if at is None else [*history[:at], message, *history[at + 1 :]]

    def _kept(self) -> list[dict[str, Any]]:
        """The conversation without the message that is being answered with."""
        applied: Applied = self._applied
        return applied.messages[:-1] if applied.response is not None else applied.messages

    def _snapshot(self) -> dict[str, Any]:
        """The answer as it is now; the live one changes with every chunk."""
        return decode(encode(self.response.message))


def give_up(claim: Claim) -> Commit:
    """The end of a turn that cannot be ended any other way: its message is kept, its answer is an error."""
    message = claim.record.payload.get("message")
    kept = [message] if isinstance(message, dict) and message.get("role") == "user" else []
    return Commit(
        claim=claim,
        changes=Changes(keep=-1, replaced=[], appended=kept),
        records=[encode({"type": "error", "errorText": MASKED_ERROR})],
        headers={"in": claim.record.seq, "turn": claim.turn, "outcome": "failed"},
        fields={},
        warm_s=0,
        run_s=0,
    )


def _cancel_later(task: asyncio.Task[Any]) -> None:
    asyncio.get_running_loop().call_later(STOP_GRACE_S, task.cancel)


def _runnable(part: dict[str, Any], tools: dict[str, Tool]) -> bool:
    """A call that is owed an execution by the server: approved or denied, or cut off by a crash."""
    if part.get("state") == "approval-responded":
        return True
    name = part.get("toolName") or str(part.get("type", "")).removeprefix("tool-")
    tool = tools.get(name)
    return part.get("state") == "input-available" and tool is not None and tool.execute is not None


def _title(messages: list[dict[str, Any]]) -> str:
    for message in messages:
        if message.get("role") == "user":
            return " ".join(text_of(message).split())[:_TITLE_LENGTH]
    return ""
