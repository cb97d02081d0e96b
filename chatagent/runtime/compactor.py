"""When the conversation grows too long for the model: what the agent's compaction makes of it, and where it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chatagent.agent import Agent, Compacted, Turn
from chatagent.llm import CompactionResult, NextStep, ShouldCompact, StepPlan, compact
from chatagent.llm.compaction import OUTER_STEP
from chatagent.runtime.author import Author
from chatagent.runtime.control import TurnControl
from chatagent.runtime.lane import COMPACTED, marker
from chatagent.runtime.model_view import ModelView
from chatagent.runtime.run import Run
from chatagent.runtime.usage import add_usage
from chatagent.ui.reading import waiting_calls


class Compactor:
    """Sums up one chat for its model; what people see stays, unless the policy says otherwise."""

    def __init__(
        self, turn: Turn[Any], agent: Agent[Any], run: Run, view: ModelView, control: TurnControl, author: Author
    ) -> None:
        self._turn = turn
        self._policy = agent.options.compaction
        self._run = run
        self._view = view
        self._control = control
        self._author = author

    async def between(self, step: NextStep) -> StepPlan:
        """Between two steps of an answer. The summary's place is a marker in the answer."""
        if self._policy is None:
            return {}
        event = self._event(
            step.messages,
            usage=step.last_usage.to_dict(),
            total_usage=add_usage(self._turn.total_usage, step.usage.to_dict()),
            source="inner",
            steps=step.steps,
            step_number=step.number,
        )
        result = await compact(self._policy, event, transform=self._author.prepare)
        if result is None:
            return {}
        place, chunk = marker(COMPACTED, {"messageCount": result.message_count})
        self._run.lane = self._run.lane.compacted(place, result.messages)
        await self._tell(result, event)
        return {"replace": result.messages, "chunks": [chunk]}

    async def after(
        self, messages: Sequence[dict[str, Any]], usage: Mapping[str, Any], total_usage: Mapping[str, Any]
    ) -> None:
        """After the last step; `messages` end with the answer, `usage` is that of the last model call."""
        if self._policy is None or not messages or waiting_calls(messages[-1]):
            return
        event = self._event(
            self._view.convert(messages), usage=usage, total_usage=total_usage, source="outer", step_number=OUTER_STEP
        )
        result = await compact(self._policy, event, ui_messages=messages, transform=self._author.prepare)
        if result is None:
            return
        self._run.lane = self._run.lane.compacted(str(messages[-1]["id"]), result.messages)
        if result.ui_messages is not None:
            self._control.history.set(result.ui_messages)
        await self._tell(result, event)

    def _event(self, messages: Sequence[Mapping[str, Any]], **facts: Any) -> ShouldCompact[Any]:
        turn = self._turn
        return ShouldCompact(
            messages=messages, chat_id=turn.chat_id, turn=turn.number, client_data=turn.client_data, **facts
        )

    async def _tell(self, result: CompactionResult, event: ShouldCompact[Any]) -> None:
        turn = self._turn
        await self._author.tell(
            "on_compacted",
            lambda: Compacted(
                ctx=turn.ctx,
                summary=result.summary,
                messages=result.messages,
                message_count=result.message_count,
                usage=dict(event.usage),
                total_tokens=event.total_tokens,
                input_tokens=event.input_tokens,
                output_tokens=event.output_tokens,
                step_number=event.step_number,
                chat_id=turn.chat_id,
                turn=turn.number,
                client_data=turn.client_data,
                writer=self._control,
            ),
        )
