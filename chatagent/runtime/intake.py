"""What a turn answers: the messages that came in, checked and hydrated, and the conversation that they make."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import orjson

from chatagent.agent import Agent, Recovery, Turn
from chatagent.runtime.attempt import Attempt
from chatagent.runtime.author import Author
from chatagent.runtime.control import TurnControl
from chatagent.runtime.conversation import apply, with_answer
from chatagent.runtime.model_view import ModelView
from chatagent.runtime.patience import patiently
from chatagent.runtime.port import Claim, Store
from chatagent.runtime.response import Response
from chatagent.runtime.run import Run

logger = logging.getLogger(__name__)

UIMessage = dict[str, Any]


class Intake:
    """Takes the messages of one turn in, on the author's terms."""

    def __init__(self, claim: Claim, attempt: Attempt, run: Run, control: TurnControl, response: Response) -> None:
        #: Inbox records that this turn answers beside its own.
        self.consumed = [*attempt.steered, *claim.merged]
        #: The half answer of a dead attempt is gone on with.
        self.continues = attempt.continues
        self._claim = claim
        self._attempt = attempt
        self._before = run.history
        self._control = control
        self._response = response
        self._refused = False
        self._settled = False
        #: How many messages came in.
        self._brought = 0

    def messages(self, *, forgotten: bool = False) -> list[UIMessage]:
        """The conversation with its answer, as it is to be stored. `forgotten`: as if nothing had been asked."""
        applied = self._attempt.applied
        if self._refused or forgotten:
            return self._before
        if self._claim.record.kind == "message" and not applied.answered:
            return applied.messages
        history, message = self._control.history.messages, self._response.message
        if self._settled or not self._response.started:
            return history
        return with_answer(history, message)

    @property
    def asked_id(self) -> str:
        """The message that is answered; empty when an answer of before goes on."""
        asked = self._asked() if self._attempt.applied.response is None else []
        return str(asked[-1].get("id")) if asked else ""

    def new(self, messages: Sequence[UIMessage]) -> list[UIMessage]:
        """Those of `messages` that this turn brought."""
        known = {each.get("id") for each in self._before}
        return [each for each in messages if each.get("id") not in known or each.get("id") == self._response.message_id]

    async def receive(self, author: Author, store: Store, recovery: Recovery | None) -> bool:
        """Take the messages in; whether there is something to answer. Raises what the author's hooks raise."""
        incoming = await self._incoming(store)
        self._control.history.stored = self._before
        try:
            validated = await author.validate(incoming) if incoming else incoming
        except Exception:
            self._refused = True
            # What was merged gets turns of its own: it may be better.
            self.consumed[:] = self._attempt.steered
            raise
        self._brought = len(validated)
        hydrated = await author.hydrate(self._before, validated)
        self._control.history.stored = None
        if hydrated is not None:
            record = self._claim.record
            answers = record.trigger != "submit-message" or any(each.get("role") == "assistant" for each in validated)
            self._become(apply(hydrated, record).messages if answers else hydrated)
        elif validated != incoming:
            self._become(self._exchanged(incoming, validated))
        return self._recover(recovery)

    async def act(self, author: Author, agent: Agent[Any], turn: Turn[Any], view: ModelView) -> bool:
        """Run an action; whether it wants the chat answered. Raises: BadRequest for one that does not fit."""
        if not author.wants("on_action"):
            logger.warning("action ignored: the agent has no on_action hook", extra={"agent": agent.id})
            return False
        action = agent.read_action(self._claim.record.payload.get("action"))
        hydrated = await author.hydrate(self._before, [])
        if hydrated is not None:
            self._become(hydrated)
        history = self._control.history
        turn.messages = await author.prepare(view.convert(history.messages), "run")
        try:
            wanted = await author.act(action)
        except Exception:
            # What it had changed until then is half of something.
            self._refused = True
            raise
        if wanted is None:
            return False
        if wanted.message is not None:
            history.set([*self._asked(), wanted.message])
            self._become(history.messages)
        turn.trigger = "action-turn"
        if not self._response.started:
            self._response.start()
        return True

    async def _incoming(self, store: Store) -> list[UIMessage]:
        """The new messages of this turn: the claimed one, and those that are merged into it."""
        record, applied = self._claim.record, self._attempt.applied
        message = record.payload.get("message")
        if record.trigger != "submit-message" or message is None:
            return []
        if record.user_message is None:
            return [message]
        if self._attempt.begun or self._claim.merged:
            return applied.messages[-1 - len(self._claim.merged) :]
        merged = await self._merge(store)
        if merged:
            self._become([*applied.messages, *merged])
        return [*applied.messages[-1:], *merged]

    async def _merge(self, store: Store) -> list[UIMessage]:
        """Take what is to be answered by one turn with this message; the next attempt at it takes the same."""
        claim = self._claim
        if not any(each.busy == "merge" for each in claim.waiting):
            return []
        found = await patiently(lambda: store.take(claim, {"merge"}), "messages not taken")
        merged = {each.seq: each.user_message for each in found if each.user_message is not None}
        await patiently(lambda: store.mark(claim, {"merged": orjson.dumps(list(merged))}), "merged messages not marked")
        self.consumed += merged
        return list(merged.values())

    def _exchanged(self, incoming: Sequence[UIMessage], validated: Sequence[UIMessage]) -> list[UIMessage]:
        """The conversation with what the author's validation made of the messages that came in."""
        record = self._claim.record
        if record.user_message is not None:
            return [*self._asked()[: -len(incoming)], *validated]
        answers = [replace(record, payload={**record.payload, "message": each}) for each in validated]
        return reduce(lambda messages, each: apply(messages, each).messages, answers, list(self._before))

    def _asked(self) -> list[UIMessage]:
        """The conversation without the answer."""
        return [each for each in self._control.history.messages if each.get("id") != self._response.message_id]

    def _recover(self, recovery: Recovery | None) -> bool:
        """Do with half an answer what the author wants; whether this turn still answers."""
        if recovery is None:
            return True
        own = self._claim.record.message_id
        wanted = None if recovery.recovered_turns is None else {each.get("id") for each in recovery.recovered_turns}
        if wanted is not None:
            dropped = [each for each in self._claim.waiting if each.message_id and each.message_id not in wanted]
            self.consumed += [each.seq for each in dropped]
        answers = wanted is None or own in wanted
        if recovery.chain is None and answers:
            return True
        history = list(recovery.chain) if recovery.chain is not None else self._attempt.kept
        known = {each.get("id") for each in history}
        if not answers:
            self.continues = False
            self._settled = True
            self._become(history)
            return False
        anew = self._response.message_id in known
        self.continues = self._response.empty and not anew
        asked = self._asked()[-self._brought :] if own is not None else self._attempt.applied.messages[-1:]
        self._become(history if own in known else [*history, *asked])
        if not self.continues:
            self._response.restart(anew=anew)
        return True

    def _become(self, messages: Sequence[UIMessage]) -> None:
        """Make this the conversation; an answer that goes on stays its end."""
        history = list(messages)
        if self.continues and not any(each.get("id") == self._response.message_id for each in history):
            history.append(self._response.snapshot())
        self._control.history.become(history)
