"""What custom loops do with messages: wait for them, collect them, and stream answers to them."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from chatagent.agent.event import ModelMessage, UIMessage
from chatagent.agent.loop import ChatTaskPayload, TurnEnd, current_loop, find_loop
from chatagent.agent.options import IDLE_TIMEOUT_S, TURN_TIMEOUT_S
from chatagent.agent.source import is_stream_text
from chatagent.agent.turn import current_turn, find_turn
from chatagent.duration import Duration, seconds
from chatagent.errors import MASKED_ERROR, ChatAgentError, LeaseLost
from chatagent.signal import AbortController, AbortSignal
from chatagent.ui import cleanup_aborted_parts as _cleaned
from chatagent.ui import to_model_messages as _converted


@dataclass(frozen=True, slots=True)
class Arrived:
    """A wait that ended with the next payload."""

    output: ChatTaskPayload
    ok: Literal[True] = True


@dataclass(frozen=True, slots=True)
class TimedOut:
    """A wait that ended without one: none came in time, or the loop has to end."""

    output: None = None
    ok: Literal[False] = False


#: How a wait ended: `ok` with the next payload, or without one.
Waited: TypeAlias = Arrived | TimedOut


class Messages:
    """The messages of the running loop's chat (`chat.messages`)."""

    async def wait_with_idle_timeout(
        self,
        *,
        idle_timeout: Duration = IDLE_TIMEOUT_S,
        timeout: Duration = TURN_TIMEOUT_S,
        idle_timeout_s: float | None = None,
        timeout_s: float | None = None,
    ) -> Waited:
        """End the open turn, and wait up to `timeout` for what opens the next one.

        A loop that waits costs no slot and keeps its variables until `timeout`; `idle_timeout` is the shortest time
        that it stays in its process when that has to make room. Both are also taken in seconds, by `…_s`.
        """
        return await _wait(wait_s(idle_timeout, timeout, idle_timeout_s, timeout_s))

    async def wait_with_warmup(
        self,
        *,
        warm_timeout: Duration = IDLE_TIMEOUT_S,
        timeout: Duration = TURN_TIMEOUT_S,
        warm_timeout_s: float | None = None,
        timeout_s: float | None = None,
    ) -> Waited:
        """The same by its older name."""
        return await _wait(wait_s(warm_timeout, timeout, warm_timeout_s, timeout_s))

    async def wait(self, *, timeout: Duration = TURN_TIMEOUT_S, timeout_s: float | None = None) -> Waited:
        """The same with one timeout."""
        return await _wait(wait_s(0, timeout, None, timeout_s))

    async def next(self, *, timeout: Duration | None = None, timeout_s: float | None = None) -> ChatTaskPayload | None:
        """Exactly one message; None when none came in time.

        Inside an open turn the message joins that turn and is answered with it; between turns it opens one.
        """
        return await current_loop().take(timeout_s if timeout is None else seconds(timeout))

    async def peek(self) -> ChatTaskPayload | None:
        """The message that `next` would give at once."""
        return await current_loop().peek()

    async def has_pending(self) -> bool:
        """Whether `next` would give a message at once."""
        return await self.peek() is not None


async def _wait(longest_s: float) -> Waited:
    output = await current_loop().wait(longest_s)
    return TimedOut() if output is None else Arrived(output)


def wait_s(idle_timeout: Duration, timeout: Duration, idle_timeout_s: float | None, timeout_s: float | None) -> float:
    """Seconds that a loop waits; what is given in seconds goes before the durations."""
    return max(
        seconds(idle_timeout) if idle_timeout_s is None else idle_timeout_s,
        seconds(timeout) if timeout_s is None else timeout_s,
    )


class StopSignal:
    """The user's stop, turn by turn: `signal` is that of the open turn, and never one of a turn before."""

    def __init__(self) -> None:
        self._none = AbortController().signal
        self._closed = False

    @property
    def signal(self) -> AbortSignal:
        turn = None if self._closed else current_loop().turn
        return self._none if turn is None else turn.stop_signal

    def reset(self) -> None:
        """Forget an earlier stop. Turns do that by themselves."""

    def cleanup(self) -> None:
        """Heed no further stop."""
        self._closed = True


def create_stop_signal() -> StopSignal:
    """The user's stops as a signal for a custom loop."""
    return StopSignal()


@dataclass(frozen=True, slots=True)
class Captured:
    """What became of a piped source; `message` is the turn's answer so far."""

    message: UIMessage
    status: Literal["complete", "aborted", "error"] = "complete"
    error: BaseException | None = None


class _Watched:
    """A `stream_text` result that is listened in on. Its error is kept back: the loop may try something else."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self.error: str | None = None

    async def to_ui_message_stream(self) -> AsyncIterator[dict[str, Any]]:
        async for chunk in self._source.to_ui_message_stream():
            if chunk["type"] == "error":
                self.error = str(chunk.get("errorText", MASKED_ERROR))
            else:
                yield chunk


async def pipe_and_capture(source: Any, *, signal: AbortSignal | None = None) -> Captured:
    """Stream `source` into the answer and say how it ended; a source that fails does not raise.

    In a custom loop a turn whose source failed ends as failed, with what there is of the answer, unless something is
    streamed after it.
    """
    turn = current_turn()
    watched = _Watched(source) if is_stream_text(source) else None
    error: BaseException | None = None
    try:
        await _until(turn.pipe(source if watched is None else watched), signal)
    except LeaseLost:
        raise
    except Exception as raised:  # noqa: BLE001 - it is what the caller is given
        error = raised
    if watched is not None and watched.error is not None:
        error = StreamFailed(watched.error)
    message = copy.deepcopy(await turn.pipe(None))
    if turn.stopped or (signal is not None and signal.aborted):
        return Captured(message, "aborted")
    loop = find_loop()
    if loop is not None:
        loop.captured(message, error)
    if error is None:
        return Captured(message)
    if loop is None:
        turn.write({"type": "error", "errorText": str(error) if watched is not None else MASKED_ERROR})
    return Captured(message, "error", error)


class StreamFailed(ChatAgentError):
    """A model's stream ended with an error; `str()` is what clients may be told of it."""


async def _until(work: Awaitable[Any], signal: AbortSignal | None) -> None:
    """Await `work`, cancelled when `signal` aborts; what the turn's own signals end, ends by itself."""
    task = asyncio.ensure_future(work)
    turn = current_turn()

    def cancel() -> None:
        if not turn.signal.aborted:
            task.cancel()

    remove = signal.add_listener(cancel) if signal is not None else lambda: None
    try:
        await task
    except asyncio.CancelledError:
        ourselves = asyncio.current_task()
        assert ourselves is not None
        if ourselves.cancelling() or signal is None or not signal.aborted:
            task.cancel()
            raise
    finally:
        remove()


def cleanup_aborted_parts(message: UIMessage | Captured) -> UIMessage:
    """A copy of a message that was cut off: without tool calls whose input never came whole, its parts `done`."""
    return _cleaned(message.message if isinstance(message, Captured) else message)


def to_model_messages(messages: Sequence[UIMessage]) -> list[ModelMessage]:
    """Messages as the model is told them: in a turn with what its tools make of their outputs for the model."""
    turn = find_turn()
    return _converted(messages) if turn is None else turn.to_model_messages(list(messages))


async def write_turn_complete() -> TurnEnd:
    """Commit the open turn: its answer is stored, and clients see that it is over."""
    return await current_loop().finish()


class MessageAccumulator:
    """The conversation of a custom loop, collected turn by turn. It is the loop's own: what is stored is what was
    streamed."""

    def __init__(self, messages: Sequence[UIMessage] = ()) -> None:
        self.ui_messages: list[UIMessage] = list(messages)
        self._steering: list[UIMessage] = []

    @property
    def model_messages(self) -> list[ModelMessage]:
        """The conversation in the form that litellm takes."""
        return to_model_messages(self.ui_messages)

    async def add_incoming(
        self, messages: Sequence[UIMessage] | UIMessage | None, trigger: str, turn: int
    ) -> list[ModelMessage]:
        """Take in a payload's `messages`; returns the conversation for the model.

        They replace it on turn 0 and for a regeneration; else they are added, or put in the place of what has their
        id (what followed an edited message is dropped).
        """
        given = [messages] if isinstance(messages, dict) else list(messages or ())
        if turn == 0 or trigger == "regenerate-message":
            self.ui_messages = given
        else:
            for message in given:
                self._put(message)
        return self.model_messages

    async def add_response(self, message: UIMessage | Captured | None) -> None:
        """Add an answer; one whose id is known takes its place."""
        message = message.message if isinstance(message, Captured) else message
        if message is not None and message.get("parts"):
            self._put(message)

    async def set_messages(self, messages: Sequence[UIMessage]) -> None:
        """Replace the whole conversation."""
        self.ui_messages = list(messages)

    def steer(self, message: UIMessage) -> None:
        """Keep a message for `drain_steering`."""
        self._steering.append(message)

    def drain_steering(self) -> list[ModelMessage]:
        """Take the kept messages into the conversation; returns them for the model."""
        drained, self._steering = self._steering, []
        self.ui_messages += drained
        return to_model_messages(drained)

    def _put(self, message: UIMessage) -> None:
        for at in range(len(self.ui_messages) - 1, -1, -1):
            if message.get("id") is not None and self.ui_messages[at].get("id") == message["id"]:
                self.ui_messages[at:] = [message]
                return
        self.ui_messages.append(message)


#: The messages of the running loop.
messages = Messages()
