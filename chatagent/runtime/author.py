"""The author's code around a turn: which hook is called when, and with what."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chatagent.agent import Agent, Turn
from chatagent.agent.action import TurnRequest
from chatagent.agent.event import (
    Action,
    BeforeTurnComplete,
    Boot,
    ChatResume,
    ChatStart,
    ChatSuspend,
    HydrateMessages,
    ModelMessage,
    PendingToolCall,
    Preload,
    PrepareMessages,
    Reason,
    Recovery,
    RecoveryBoot,
    TurnComplete,
    TurnStart,
    UIMessage,
    ValidateMessages,
    Writer,
)
from chatagent.agent.options import ToolsFor
from chatagent.errors import ConfigError, LeaseLost
from chatagent.llm import Tool, to_tools
from chatagent.runtime.call import call
from chatagent.runtime.run import Run
from chatagent.ui.tool_part import tool_name

logger = logging.getLogger(__name__)

#: Makes a token for a browser of the chat: chat id, seconds that it is valid.
Mint = Callable[[str, float], str]


class Author:
    """Calls the hooks of one turn's agent. Events are made only for hooks that exist."""

    def __init__(self, agent: Agent[Any], turn: Turn[Any], run: Run, writer: Writer, mint: Mint | None) -> None:
        self._agent = agent
        self._turn = turn
        self._run = run
        self._writer = writer
        self._mint = mint

    # -- before the turn ----------------------------------------------------------------------------------------

    async def boot(self, *, resumed: bool) -> None:
        """A run that this process does not have yet is booted; a suspended one is resumed."""
        if self._run.fresh:
            await self.tell("on_boot", lambda: Boot(**self._of_run(), **self._access(), **self._continues()))
        if resumed:
            await self.tell("on_chat_resume", lambda: ChatResume(**self._idle()))
        self._run.fresh = False

    async def recover(
        self, partial: UIMessage, settled: Sequence[UIMessage], users: Sequence[UIMessage], cause: Any
    ) -> Recovery | None:
        """What is to become of half an answer; None for the default, which also holds when a hook fails."""
        answer: Recovery | None = None
        for hook in self._agent.of("on_recovery_boot"):
            event: RecoveryBoot[Any] = RecoveryBoot(
                **self._of_run(),
                previous_run_id=self._turn.previous_run_id,
                cause=cause,
                settled_messages=list(settled),
                in_flight_users=list(users),
                partial_assistant=partial,
                pending_tool_calls=_pending(partial),
                writer=self._writer,
            )
            try:
                answer = _recovery(await call(hook, event))
            except LeaseLost:
                raise
            except Exception:
                # Half an answer is there already, and goes on without the author's word.
                logger.exception("on_recovery_boot failed, the default holds")
        if answer is not None and answer.before_boot is not None:
            waiting = answer.before_boot()
            if inspect.isawaitable(waiting):
                await waiting
        return answer

    async def preload(self) -> None:
        """The run was started before there is a message."""
        await self.tell("on_preload", lambda: Preload(**self._of_run(), **self._access(), writer=self._writer))

    async def tools(self) -> dict[str, Tool]:
        """The tools of this turn."""
        chosen = self._agent.options.tools
        if callable(chosen) and not isinstance(chosen, Tool):
            turn = self._turn
            chosen = await call(
                chosen,
                ToolsFor(
                    chat_id=turn.chat_id,
                    turn=turn.number,
                    continuation=turn.continuation,
                    client_data=turn.client_data,
                ),
            )
        return to_tools(chosen)

    async def validate(self, messages: list[UIMessage]) -> list[UIMessage]:
        """The incoming messages as the hooks want them. Raises what they raise."""
        for hook in self._agent.of("on_validate_messages"):
            turn = self._turn
            event = ValidateMessages(messages=messages, chat_id=turn.chat_id, turn=turn.number, trigger=turn.trigger)
            messages = _messages(await call(hook, event), "on_validate_messages")
        return messages

    async def hydrate(self, previous: Sequence[UIMessage], incoming: Sequence[UIMessage]) -> list[UIMessage] | None:
        """The history as the hooks give it; None when there are none."""
        found: list[UIMessage] | None = None
        turn = self._turn
        for hook in self._agent.of("hydrate_messages"):
            event: HydrateMessages[Any] = HydrateMessages(
                chat_id=turn.chat_id,
                turn=turn.number,
                trigger=turn.trigger,
                incoming_messages=list(incoming),
                previous_messages=list(previous if found is None else found),
                client_data=turn.client_data,
                continuation=turn.continuation,
                previous_run_id=turn.previous_run_id,
            )
            found = _messages(await call(hook, event), "hydrate_messages")
        return found

    async def prepare(self, messages: list[ModelMessage], reason: Reason) -> list[ModelMessage]:
        """Model messages as the hooks want them."""
        for hook in self._agent.of("prepare_messages"):
            turn = self._turn
            event: PrepareMessages[Any] = PrepareMessages(
                messages=messages,
                reason=reason,
                chat_id=turn.chat_id,
                turn=turn.number,
                client_data=turn.client_data,
            )
            messages = _messages(await call(hook, event), "prepare_messages")
        return messages

    async def chat_start(self) -> None:
        """The chat's first message."""
        await self.tell(
            "on_chat_start",
            lambda: ChatStart(
                messages=self._turn.messages,
                **self._of_run(),
                **self._access(),
                continuation=False,
                previous_run_id=self._turn.previous_run_id,
                preloaded=self._turn.preloaded,
                writer=self._writer,
            ),
        )

    async def turn_start(self) -> None:
        """Every turn."""
        await self.tell(
            "on_turn_start",
            lambda: TurnStart(
                messages=self._turn.messages,
                ui_messages=self._turn.ui_messages,
                turn=self._turn.number,
                **self._of_run(),
                **self._access(),
                **self._continues(),
                writer=self._writer,
            ),
        )

    async def act(self, action: Any) -> TurnRequest | None:
        """An action; gives the turn that a hook asked for."""
        wanted: TurnRequest | None = None
        turn = self._turn
        for hook in self._agent.of("on_action"):
            event: Action[Any, Any] = Action(
                action=action,
                ctx=turn.ctx,
                chat_id=turn.chat_id,
                turn=turn.number,
                client_data=turn.client_data,
                ui_messages=turn.ui_messages,
                messages=turn.messages,
            )
            answer = await call(hook, event)
            if answer is not None and not isinstance(answer, TurnRequest):
                raise ConfigError(
                    f"on_action returned a {type(answer).__name__}: return nothing, or chat.turn() to have it answered"
                )
            wanted = answer or wanted
        return wanted

    # -- after the turn -----------------------------------------------------------------------------------------

    async def before_complete(self, result: Callable[[], Mapping[str, Any]]) -> None:
        """The answer is there, its stream still open."""
        await self.tell(
            "on_before_turn_complete",
            lambda: BeforeTurnComplete(**self._of_turn(), **result(), last_event_id=None, writer=self._writer),
        )

    async def complete(self, result: Callable[[], Mapping[str, Any]], last_event_id: str) -> None:
        """The turn is committed."""
        await self.tell(
            "on_turn_complete",
            lambda: TurnComplete(**self._of_turn(), **result(), last_event_id=last_event_id),
        )

    def wants(self, name: str) -> bool:
        """Whether there is a hook of this kind."""
        return bool(self._agent.of(name))

    async def suspend(self) -> None:
        """The run leaves this process."""
        await self.tell("on_chat_suspend", lambda: ChatSuspend(**self._idle()))

    def _idle(self) -> dict[str, Any]:
        """The fields of `on_chat_suspend` and `on_chat_resume`."""
        turn, run = self._turn, self._run
        found: dict[str, Any] = {"phase": "turn" if run.history else "preload", **self._of_run()}
        if run.history:
            messages = turn.to_model_messages(run.history)
            found |= {"turn": turn.number, "messages": messages, "ui_messages": list(run.history)}
        return found

    async def tell(self, name: str, event: Callable[[], Any]) -> None:
        """Call the hooks of a kind, if there are any, with one event."""
        hooks = self._agent.of(name)
        if hooks:
            given = event()
            for hook in hooks:
                await call(hook, given)

    def _of_run(self) -> dict[str, Any]:
        turn = self._turn
        return {"ctx": turn.ctx, "chat_id": turn.chat_id, "run_id": turn.run_id, "client_data": turn.client_data}

    def _access(self) -> dict[str, Any]:
        token = self._mint(self._turn.chat_id, self._agent.options.token_ttl_s) if self._mint is not None else ""
        return {"chat_access_token": token}

    def _continues(self) -> dict[str, Any]:
        turn = self._turn
        return {
            "continuation": turn.continuation,
            "previous_run_id": turn.previous_run_id,
            "preloaded": turn.preloaded,
        }

    def _of_turn(self) -> dict[str, Any]:
        return {**self._of_run(), **self._access(), **self._continues(), "turn": self._turn.number}


def _recovery(answer: Any) -> Recovery | None:
    if answer is not None and not isinstance(answer, Recovery):
        raise ConfigError(f"on_recovery_boot must return a chat.Recovery or None, not {type(answer).__name__}")
    return answer


def _messages(answer: Any, hook: str) -> list[Any]:
    if not isinstance(answer, Sequence) or isinstance(answer, str | bytes):
        raise ConfigError(f"{hook} must return a list of messages, not {type(answer).__name__}")
    return list(answer)


def _pending(partial: UIMessage) -> list[PendingToolCall]:
    return [
        PendingToolCall(
            tool_call_id=part["toolCallId"],
            tool_name=tool_name(part),
            input=part.get("input"),
            part_index=at,
        )
        for at, part in enumerate(partial["parts"])
        if part.get("state") in ("input-available", "approval-requested", "approval-responded")
    ]
