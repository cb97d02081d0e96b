"""The end of a turn: what is stored with it, and what its last hooks are told and may still change."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from chatagent.agent.history import History
from chatagent.errors import MASKED_ERROR, BadRequest, StoreDown, TurnTimeout
from chatagent.llm.error import words_of
from chatagent.runtime.control import TurnControl
from chatagent.runtime.conversation import Changes, changes
from chatagent.runtime.intake import Intake
from chatagent.runtime.model_view import ModelView
from chatagent.runtime.port import Claim, Commit, Outcome, Store
from chatagent.runtime.response import Response
from chatagent.runtime.run import Run
from chatagent.runtime.usage import add_usage
from chatagent.ui import cleanup_aborted_parts, encode
from chatagent.ui.reading import text_of

logger = logging.getLogger(__name__)

_TITLE_LENGTH = 80


@dataclass(slots=True)
class Result:
    """How a turn went, as it becomes known."""

    outcome: Outcome = "completed"
    error: BaseException | None = None
    usage: dict[str, Any] = field(default_factory=dict)
    #: The user wants it forgotten.
    forgotten: bool = False
    #: `on_chat_start` has been through.
    chat_started: bool = False
    #: How many injected messages it has read.
    injected: int = 0
    #: It is a turn of the chat: actions and preloads are none.
    counts: bool = True
    #: Seconds that the run outlives it; 0 ends the run.
    run_s: float = 0
    #: The answer before a stop was tidied away.
    raw: dict[str, Any] | None = None


class Ending:
    """Ends one turn."""

    def __init__(
        self, claim: Claim, run: Run, control: TurnControl, intake: Intake, response: Response, view: ModelView
    ) -> None:
        self._claim = claim
        self._run = run
        self._control = control
        self._intake = intake
        self._response = response
        self._view = view

    def commit(self, result: Result, records: list[bytes], consumed: Sequence[int], warm_s: float) -> Commit:
        """What to store. The answer is stored as browsers hold it, even when it is empty."""
        claim, run = self._claim, self._run
        messages = self._messages(result)
        run.lane = run.lane.pruned(messages)
        headers = {
            "in": claim.record.seq,
            "turn": claim.turn,
            "outcome": result.outcome,
            "message_id": self._response.message_id,
            **({"usage": result.usage} if result.usage else {}),
        }
        closing = self._control.closing
        commit = Commit(
            claim=claim,
            changes=changes(run.history, messages),
            records=records,
            headers=headers,
            fields=self._fields(result, messages),
            warm_s=warm_s if result.run_s else 0,
            consumed=(*self._intake.consumed, *consumed),
            # What a forgotten answer has read is still to be read.
            injected=0 if self._forgotten(result) else result.injected,
            counts=result.counts,
            silent=claim.record.kind == "preload",
            run_s=result.run_s,
            close=None if closing is None else (closing[0] or ""),
        )
        run.history = messages
        run.previous_usage = result.usage or run.previous_usage
        return commit

    def told(self, result: Result) -> dict[str, Any]:
        """What the events at the end of a turn say of it."""
        message = None if self._response.empty else self._response.message
        stored = self._messages(result)
        new = self._intake.new(stored)
        stopped = result.outcome == "stopped"
        return {
            "messages": self._view.convert(stored),
            "ui_messages": list(stored),
            "new_messages": self._view.plain(new),
            "new_ui_messages": new,
            "response_message": cleanup_aborted_parts(message) if message is not None and stopped else message,
            "raw_response_message": result.raw or message,
            "stopped": stopped,
            "finish_reason": "error" if result.outcome == "failed" else self._response.finish_reason,
            "usage": dict(result.usage),
            "total_usage": self.total_usage(result),
            "error": result.error,
        }

    def total_usage(self, result: Result) -> dict[str, Any]:
        """What the chat has used, this turn included."""
        return add_usage(self._claim.usage, result.usage)

    async def afterwards(
        self, store: Store, result: Result, hooks: Callable[[], Awaitable[None]], run_s: Callable[[], float]
    ) -> None:
        """Run hooks on a committed turn, and store what they change; what they raise is logged.

        `run_s` says what they made of the time that the run goes on.
        """
        control, before = self._control, self._run.kept()
        closing, control.closing = control.closing, None
        control.history = History(self._run.history)
        try:
            await hooks()
        except Exception:
            logger.exception("hook failed after its turn")
        try:
            await self._amend(store, result, before, run_s())
            if control.closing is not None and closing is None:
                await store.end_chat(self._claim, control.closing[0])
        except StoreDown:
            logger.warning("changes of the last hooks not stored, Redis is away")
        control.closing = control.closing or closing

    async def _amend(self, store: Store, result: Result, before: dict[str, Any], run_s: float) -> None:
        """Store what was changed, unless the chat has moved on."""
        run, history = self._run, self._control.history
        longer = None if run_s == result.run_s else run_s
        if history.version == 0 and longer is None and run.kept() == before:
            return
        fields = {"locals": run.state(run_s)}
        if await store.amend(self._claim, changes(run.history, history.messages), fields, run_s=longer):
            run.history, result.run_s = list(history.messages), run_s

    def _messages(self, result: Result) -> list[dict[str, Any]]:
        return self._intake.messages(forgotten=self._forgotten(result))

    def _forgotten(self, result: Result) -> bool:
        return result.forgotten and result.outcome == "stopped"

    def _fields(self, result: Result, messages: Sequence[dict[str, Any]]) -> dict[str, bytes]:
        run = self._run
        run.previous_usage = result.usage or run.previous_usage
        fields = {
            "usage": orjson.dumps(self.total_usage(result)),
            "locals": run.state(result.run_s),
            "lane": orjson.dumps(run.lane.to_json()),
        }
        if result.chat_started:
            fields["chat_started"] = b"1"
        if not self._claim.title and (title := _title(messages)):
            fields["title"] = title.encode("utf-8", "replace")
        return fields


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


def words_for(error: BaseException, on_error: Callable[[BaseException], str] | None) -> str:
    """What clients are told of an exception: in the author's words, if there are any."""
    if on_error is not None:
        return words_of(on_error, error)
    return str(error) if isinstance(error, BadRequest | TurnTimeout) else MASKED_ERROR


def _title(messages: Sequence[dict[str, Any]]) -> str:
    for message in messages:
        if message.get("role") == "user":
            return " ".join(text_of(message).split())[:_TITLE_LENGTH]
    return ""
