"""One turn, start to end: what is answered, the agent's code around it, and what is committed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import Any

import orjson

from chatagent.agent import Agent, ChatStart, Turn, TurnComplete, TurnStart
from chatagent.agent.turn import enter_turn
from chatagent.errors import BadRequest, LeaseLost
from chatagent.ids import new_id
from chatagent.llm import ModelContext, StreamOptions, Tool, current_context, to_tools
from chatagent.llm.context import MASKED_ERROR
from chatagent.record import control_kind
from chatagent.runtime.call import call
from chatagent.runtime.conversation import Applied, Changes, apply, changes, text_of, waiting_calls
from chatagent.runtime.pipe import Pipe
from chatagent.runtime.port import Claim, Commit, Outcome
from chatagent.runtime.response import Response
from chatagent.runtime.run import Run
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


class AnsweredTurn:
    """Answers one claimed message.

    `answer` runs the author's code and ends the stream; `commit` says what to store; `complete` runs the last hooks.
    """

    def __init__(self, claim: Claim, agent: Agent[Any], run: Run, log: TurnLog, options: TurnOptions) -> None:
        self.claim = claim
        self.agent = agent
        self.run = run
        self.stop = AbortController()
        self.cancel = AbortController()
        self.outcome: Outcome = "completed"
        self.error: BaseException | None = None
        self._log = log
        self._options = options
        self._applied = apply(run.history, claim.record)
        self._raw: dict[str, Any] | None = None
        self._usage: dict[str, Any] = {}
        self._recover()

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
        message_id = initial["id"] if initial is not None else new_id("msg_")
        self.response = Response(message_id, initial, self._log.write, open_step=self._open_step)
        self._pipe = Pipe(self.response, self._log, self.stop.signal)

    # -- the stream ---------------------------------------------------------------------------------------------

    async def answer(self) -> None:
        """Run the agent until its answer has ended. Raises: LeaseLost; CancelledError when cancelled from outside."""
        self._open()
        if self._owed():
            work = asyncio.create_task(self._work(), name=f"turn {self.claim.chat_id}")
            remove = self.stop.signal.add_listener(lambda: _cancel_later(work))
            try:
                await self._outcome_of(work)
            finally:
                remove()
        self._close()

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
        elif not self._applied.answered:
            # A page that was overtaken would send the same again and again: an error is where it comes to rest.
            self.outcome = "waiting"
            self.response.error_text = _NOTHING_NEW
        elif self._applied.response and waiting_calls(self._applied.response):
            self.outcome = "waiting"
            self.response.finish_reason = "tool-calls"
        elif self.claim.attempt > (self.agent.options.max_attempts or self._options.max_attempts):
            self._fail(RuntimeError(f"the turn died {self.claim.attempt - 1} times"))
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
                self._fail(error)
        if self.stop.signal.aborted:
            self.outcome = "stopped"
        elif self.response.error_text is not None:
            self.outcome = "failed"

    def _fail(self, error: BaseException) -> None:
        self.error = error
        self.outcome = "failed"
        on_error = self.agent.options.on_error
        if on_error is not None:
            self.response.error_text = on_error(error)
        else:
            self.response.error_text = str(error) if isinstance(error, BadRequest) else MASKED_ERROR

    def _close(self) -> None:
        if self.outcome == "stopped":
            self.response.error_text = None
        self._raw = self._snapshot() if self.outcome == "stopped" else None
        dangling = {"stopped": _STOPPED_CALL, "failed": _FAILED_CALL}.get(self.outcome)
        self.response.end(stopped=self.outcome == "stopped", dangling=dangling)

    # -- the author's code --------------------------------------------------------------------------------------

    async def _work(self) -> None:
        turn = self._turn = self._make_turn()
        enter_turn(turn)
        current_context.set(self._model_context())
        turn.client_data = self.agent.read_client_data(turn.metadata)
        continuation = {"continuation": turn.continuation, "previous_run_id": turn.previous_run_id}
        if self.claim.turn == 0 and not self._resumed and self.claim.attempt == 1:
            await self._call_hooks(
                "on_chat_start",
                lambda: ChatStart(turn.chat_id, turn.run_id, turn.client_data, turn.messages),
            )
        await self._call_hooks(
            "on_turn_start",
            lambda: TurnStart(
                turn.chat_id,
                turn.run_id,
                turn.number,
                turn.client_data,
                turn.messages,
                turn.ui_messages,
                **continuation,  # type: ignore[arg-type]
            ),
        )
        await self._pipe(await call(self.agent.run, turn))

    def _make_turn(self) -> Turn[Any]:
        claim, record = self.claim, self.claim.record
        messages = self._applied.messages
        if self._applied.response is not None or self._resumed:
            messages = [*self._kept(), self._snapshot()]
        return Turn(
            chat_id=claim.chat_id,
            session_id=claim.session_id,
            run_id=self.run.run_id,
            number=claim.turn,
            trigger=record.trigger,
            client_data=None,
            ui_messages=list(messages),
            model=self.agent.options.model or self._options.model,
            signal=AbortSignal.any(self.stop.signal, self.cancel.signal),
            stop_signal=self.stop.signal,
            cancel_signal=self.cancel.signal,
            to_model_messages=self._to_model_messages,
            pipe=self._pipe,
            write=self.response.write,
            message_id=record.payload.get("messageId"),
            body=record.payload.get("body") or {},
            metadata=record.payload.get("metadata", claim.metadata),
            user=claim.user,
            tags=claim.tags,
            attempt=claim.attempt,
            continuation=self.run.continuation,
            previous_run_id=self.run.previous_run_id,
        )

    def _tools(self) -> dict[str, Tool]:
        return to_tools(self.agent.options.tools)

    def _model_context(self) -> ModelContext:
        return ModelContext(
            signal=self._turn.signal,
            tools=self._tools(),
            response=self._snapshot() if self._applied.response is not None or self._resumed else None,
            open_step=self._open_step,
            options=StreamOptions(on_error=self.agent.options.on_error),
            on_usage=self._add_usage,
        )

    def _to_model_messages(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        tools = self._tools()
        last = messages[-1] if messages else None
        pending = [part["toolCallId"] for part in (last or {}).get("parts", ()) if _runnable(part, tools)]
        outputs = {name: tool.to_model_output for name, tool in tools.items() if tool.to_model_output is not None}
        return to_model_messages(messages, keep_tool_calls=pending, tool_outputs=outputs, omit_old_files=True)

    async def _call_hooks(self, name: str, event: Any) -> None:
        hooks = self.agent.hooks.get(name, ())
        if hooks:
            given = event()
            for hook in hooks:
                await call(hook, given)

    def _add_usage(self, usage: dict[str, Any]) -> None:
        for name, value in usage.items():
            if isinstance(value, int | float):
                self._usage[name] = self._usage.get(name, 0) + value

    # -- the end ------------------------------------------------------------------------------------------------

    def commit(self, *, warm_s: float) -> Commit:
        """What ends the turn. The answer is stored as browsers hold it, even when it is empty."""
        messages = self._messages()
        fields = {"usage": orjson.dumps(self._total_usage())}
        if not self.claim.title and (title := _title(messages)):
            fields["title"] = title.encode("utf-8", "replace")
        headers = {
            "in": self.claim.record.seq,
            "turn": self.claim.turn,
            "outcome": self.outcome,
            "message_id": self.response.message_id,
            **({"usage": self._usage} if self._usage else {}),
        }
        commit = Commit(
            claim=self.claim,
            changes=changes(self.run.history, messages),
            records=self._log.rest(),
            headers=headers,
            fields=fields,
            warm_s=warm_s,
        )
        self.run.history = messages
        return commit

    async def complete(self, last_event_id: str) -> None:
        """Run `on_turn_complete`; what it raises is logged, since the turn is committed."""
        if not self.agent.hooks.get("on_turn_complete") or self.outcome == "waiting":
            return
        if not hasattr(self, "_turn"):
            self._turn = self._make_turn()
        turn, message = self._turn, self.response.message
        new = [*self._applied.messages[len(self._applied.messages) - 1 :], message]
        if self._applied.response is not None:
            new = [message]
        event = TurnComplete(
            chat_id=turn.chat_id,
            run_id=turn.run_id,
            turn=turn.number,
            client_data=turn.client_data,
            messages=self._to_model_messages(self.run.history),
            ui_messages=list(self.run.history),
            new_messages=self._to_model_messages(new),
            new_ui_messages=new,
            response_message=cleanup_aborted_parts(message) if self.outcome == "stopped" else message,
            raw_response_message=self._raw or message,
            last_event_id=last_event_id,
            stopped=self.outcome == "stopped",
            continuation=turn.continuation,
            finish_reason="error" if self.outcome == "failed" else self.response.finish_reason,
            usage=dict(self._usage),
            total_usage=self._total_usage(),
            error=self.error,
        )
        try:
            await self._call_hooks("on_turn_complete", lambda: event)
        except Exception:
            logger.exception("on_turn_complete failed")

    def _total_usage(self) -> dict[str, Any]:
        """What the chat has used, this turn included."""
        names = {**self.claim.usage, **self._usage}
        return {name: self.claim.usage.get(name, 0) + self._usage.get(name, 0) for name in names}

    def _messages(self) -> list[dict[str, Any]]:
        """The conversation with its answer."""
        if not self._applied.answered:
            return self._applied.messages
        return [*self._kept(), self.response.message]

    def _kept(self) -> list[dict[str, Any]]:
        """The conversation without the message that is being answered with."""
        applied: Applied = self._applied
        return applied.messages[:-1] if applied.response is not None else applied.messages

    def _snapshot(self) -> dict[str, Any]:
        """The answer as it is now; the live one changes with every chunk."""
        return decode(encode(self.response.message))


def give_up(claim: Claim, run: Run) -> Commit:
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
