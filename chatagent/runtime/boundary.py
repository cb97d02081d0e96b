"""Between two steps of an answer: what was injected, steered or summed up meanwhile joins the model's conversation."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from chatagent.agent import Agent, Turn
from chatagent.agent.options import PendingBatch, PendingMessages
from chatagent.llm import NextStep, StepPlan
from chatagent.llm.wait import settle
from chatagent.record import Busy, InRecord
from chatagent.runtime.compactor import Compactor
from chatagent.runtime.injection import Injection
from chatagent.runtime.patience import patiently
from chatagent.runtime.port import Claim, Store
from chatagent.runtime.run import Run
from chatagent.ui import steering_chunk, to_model_messages


class Boundary:
    """The runtime's look between the steps of one turn (`ModelContext.plan_step`)."""

    def __init__(
        self,
        turn: Turn[Any],
        agent: Agent[Any],
        run: Run,
        claim: Claim,
        store: Store,
        injection: Injection,
        compactor: Compactor,
    ) -> None:
        #: Inbox records that the answer took in.
        self.consumed: list[int] = []
        #: Those that it had taken in before.
        self.known: Container[int] = ()
        #: Instructions for this answer alone.
        self.instructions: list[str] = []
        self._turn = turn
        self._agent = agent
        self._run = run
        self._claim = claim
        self._store = store
        self._injection = injection
        self._compactor = compactor
        self._rung = bool(claim.waiting)
        self._begun = False

    def ring(self) -> None:
        """Something arrived in the inbox, or was injected."""
        self._rung = True

    async def __call__(self, step: NextStep) -> StepPlan | None:
        """What changes before this step."""
        plan: StepPlan = {"append": [], "chunks": []}
        if self._begun:
            plan.update(await self._compactor.between(step))
        if not self._begun and self.instructions:
            plan["system"] = "\n\n".join(self.instructions)
        if self._begun or self._rung or self._injection.owed:
            await self._inject(plan)
        # An answer that is continued (after an approval, a crash) has had steps before its first one here.
        if self._rung and (self._begun or step.number > 0):
            self._rung = False
            await self._steer(plan, step)
        self._begun = True
        return plan if any(plan.values()) else None

    async def _inject(self, plan: StepPlan) -> None:
        found = await self._injection.take()
        if found.instructions:
            plan["system"] = "\n\n".join([*filter(None, [plan.get("system")]), *found.instructions])
        if found.joined:
            place, chunk = found.marker()
            self._run.lane = self._run.lane.noted(place, found.joined)
            plan["chunks"] = [*plan["chunks"], chunk]
            plan["append"] = [*plan["append"], *found.joined]

    async def _steer(self, plan: StepPlan, step: NextStep) -> None:
        policy = self._agent.options.pending_messages
        wanted: set[Busy] | None = None if policy is not None else {"steer"}
        records = await patiently(lambda: self._store.take(self._claim, wanted), "messages not taken")
        taken = [
            record
            for record in records
            if record.user_message and record.seq not in self.consumed and record.seq not in self.known
        ]
        batch = self._batch(taken, step)
        if policy is not None and batch.messages:
            if policy.on_received is not None:
                await settle(policy.on_received(batch))
            if not await settle(policy.should_inject(batch)):
                taken = [record for record in taken if record.busy == "steer"]
                batch = self._batch(taken, step)
        if not batch.messages:
            return
        plan["chunks"] = [
            *plan["chunks"],
            *map(steering_chunk, batch.messages),
        ]
        plan["append"] = [*plan["append"], *await _prepared(policy, batch)]
        if policy is not None and policy.on_injected is not None:
            await settle(policy.on_injected(batch))
        # Not before: what an author's function fails on is still to be answered.
        self.consumed += [record.seq for record in taken]

    def _batch(self, records: list[InRecord], step: NextStep) -> PendingBatch[Any]:
        messages = [record.user_message for record in records if record.user_message is not None]
        turn = self._turn
        return PendingBatch(
            messages=messages,
            model_messages=to_model_messages(messages, omit_old_files=True),
            steps=step.steps,
            step_number=step.number,
            chat_id=turn.chat_id,
            turn=turn.number,
            client_data=turn.client_data,
        )


async def _prepared(policy: PendingMessages[Any] | None, batch: PendingBatch[Any]) -> list[dict[str, Any]]:
    if policy is None or policy.prepare is None:
        return batch.model_messages
    return list(await settle(policy.prepare(batch)))
