"""`chat.create_session`: the turns of a chat as an async iterator, in a custom loop."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from chatagent.agent.event import ModelMessage, UIMessage
from chatagent.agent.loop import ChatTaskPayload, Loop, TurnEnd, current_loop
from chatagent.agent.loop_message import Captured, pipe_and_capture, wait_s
from chatagent.agent.options import IDLE_TIMEOUT_S, MAX_TURNS, TURN_TIMEOUT_S
from chatagent.agent.turn import Turn
from chatagent.duration import Duration
from chatagent.errors import ConfigError
from chatagent.signal import AbortSignal

logger = logging.getLogger(__name__)


class LoopTurn:
    """One turn of a custom loop; end it with `complete` or `done`."""

    def __init__(self, loop: Loop, turn: Turn[Any], payload: ChatTaskPayload, signal: AbortSignal | None) -> None:
        self.payload = payload
        self.number = turn.number
        self.chat_id = turn.chat_id
        self.trigger = payload.trigger
        self.action = payload.action
        self.client_data = turn.client_data
        self.continuation = payload.continuation
        self.previous_turn_usage = turn.previous_turn_usage
        self.total_usage = turn.total_usage
        #: The conversation as the model is told it; ends with what is to be answered.
        self.messages: list[ModelMessage] = turn.messages or turn.to_model_messages(turn.ui_messages)
        #: Aborts on a stop of this turn, and when the loop has to end.
        self.signal = turn.signal if signal is None else AbortSignal.any(turn.signal, signal)
        self._loop = loop
        self._turn = turn
        self._response: UIMessage | None = None
        self._captured: Captured | None = None

    @property
    def ui_messages(self) -> list[UIMessage]:
        """The conversation as clients hold it, with the answer once there is one."""
        messages = self._turn.ui_messages
        if self._response is None:
            return messages
        return [*[each for each in messages if each.get("id") != self._response.get("id")], self._response]

    @property
    def stopped(self) -> bool:
        """The user stopped this turn."""
        return self._turn.stopped

    @property
    def open(self) -> bool:
        """Whether it is still to be ended."""
        return self._loop.turn is self._turn

    async def complete(self, source: Any = None) -> UIMessage:
        """Stream `source`, take it in as the answer, and end the turn; returns the answer.

        A source that fails ends the turn with an error, and the loop goes on.
        """
        self._check_open()
        captured = await pipe_and_capture(source, signal=self.signal)
        await self.add_response(captured)
        if captured.error is not None:
            logger.error("turn failed", exc_info=captured.error)
        await self._loop.finish(captured.error)
        return captured.message

    async def done(self) -> TurnEnd:
        """End the turn; what was piped is its answer."""
        self._check_open()
        error = self._captured.error if self._captured is not None else None
        return await self._loop.finish(error)

    async def add_response(self, message: UIMessage | Captured | None) -> None:
        """Take an answer into `ui_messages`. One that clients have not been shown is streamed to them."""
        if isinstance(message, Captured):
            self._captured, message = message, message.message
        if message is None or not message.get("parts"):
            return
        shown = await self._turn.pipe(None) if self.open else message
        if not shown.get("parts"):
            message = await self._turn.pipe(message)
        self._response = message

    async def set_messages(self, messages: Sequence[UIMessage]) -> None:
        """Replace the conversation before the answer, here and in the store."""
        self._turn.history.set(messages)
        self.messages = self._turn.to_model_messages(self._turn.ui_messages)

    def _check_open(self) -> None:
        if not self.open:
            raise ConfigError("this turn was ended already: call complete() or done(), once")


class ChatSession:
    """The turns of a chat, for `async for`. It ends when no message comes in time, and with its loop."""

    def __init__(
        self, loop: Loop, payload: ChatTaskPayload, *, signal: AbortSignal | None, timeout_s: float, max_turns: int
    ) -> None:
        self._loop = loop
        self._next: ChatTaskPayload | None = payload
        self._signal = signal
        self._timeout_s = timeout_s
        self._turns_left = max_turns

    def __aiter__(self) -> ChatSession:
        return self

    async def __anext__(self) -> LoopTurn:
        if self._signal is not None and self._signal.aborted:
            raise StopAsyncIteration
        payload, self._next = self._next, None
        while payload is None or payload.trigger == "preload":
            if self._turns_left <= 0:
                raise StopAsyncIteration
            self._keep_warm()
            payload = await self._loop.wait(self._timeout_s, self._signal)
            if payload is None:
                raise StopAsyncIteration
        turn = self._loop.turn
        assert turn is not None
        self._keep_warm()
        self._turns_left -= 1
        if self._turns_left <= 0:
            turn.control.end_run()
        return LoopTurn(self._loop, turn, payload, self._signal)

    def _keep_warm(self) -> None:
        """Let the next message come to this process for as long as the loop waits for it."""
        if self._loop.turn is not None:
            self._loop.turn.control.set_idle_timeout(self._timeout_s)
            self._loop.turn.control.set_turn_timeout(self._timeout_s)


def create_session(
    payload: ChatTaskPayload,
    *,
    signal: AbortSignal | None = None,
    idle_timeout: Duration = IDLE_TIMEOUT_S,
    timeout: Duration = TURN_TIMEOUT_S,
    max_turns: int = MAX_TURNS,
    idle_timeout_s: float | None = None,
    timeout_s: float | None = None,
) -> ChatSession:
    """The turns of the chat that the custom loop was started for, beginning with `payload`.

    Each turn collects the conversation by itself, also after a restart. The iterator waits up to `timeout` for the
    next message, without a slot, and `idle_timeout` at least (both also in seconds, by `…_s`); after `max_turns` it
    ends, and the next message calls the function anew. `signal` ends it sooner.
    """
    longest_s = wait_s(idle_timeout, timeout, idle_timeout_s, timeout_s)
    return ChatSession(current_loop(), payload, signal=signal, timeout_s=longest_s, max_turns=max_turns)
