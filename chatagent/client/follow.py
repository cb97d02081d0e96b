"""One answer from its first chunk to its last, over as many connections as it takes: nothing is lost or comes twice.

The gateway tells an answer from its start to whoever asks again: to the same message sent again (for five minutes),
and to a resume while the answer is written. After that the history has it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from chatagent.client.event import Events
from chatagent.client.gap import ENDS, Replay, message_id, rest
from chatagent.client.gateway import Gateway
from chatagent.client.result import Outcome, Result
from chatagent.client.want import Call, Give, Lost, Read, Steps, Wait
from chatagent.errors import Retryable, StreamError
from chatagent.ui import Fold, decode, fold_message
from chatagent.ui.reading import waiting_calls

Chunk = dict[str, Any]
UIMessage = dict[str, Any]

_DONE = b"[DONE]"
_GONE = "the answer went on while the connection was away, in a way that cannot be told: read the history, or resume"


class Following:
    """Follows one answer.

    `resume` asks for the answer that is being written, `history` for what was stored. `post` is the call that asked
    for this answer, where it may be made again; `initial` the message that the answer goes on with.
    """

    def __init__(
        self,
        gateway: Gateway,
        resume: Call,
        history: Callable[[], Steps[list[UIMessage]]],
        post: Call | None,
        initial: UIMessage | None,
        *,
        connected: bool,
    ) -> None:
        self._gateway = gateway
        self._resume = resume
        self._history = history
        self._post = post
        self._initial = initial
        #: Something is read; else the connection was lost.
        self.connected = connected
        self._posted_s = time.monotonic()
        self._events = Events()
        self._replay: Replay | None = None
        self._renamed: dict[Any, Any] = {}
        self._fold = Fold(initial)
        self._seen: list[Chunk] = []
        self.ended = False
        #: It was stopped by whom it is followed for: one that had not begun tells nothing of that.
        self.stopped = False

    def chunks(self) -> Steps[None]:
        """Give what is left of the answer. Raises: Retryable when it cannot be followed any more."""
        limits, failures = self._gateway.limits, 0
        while not self.ended:
            try:
                if not self.connected:
                    yield from self._connect()
                while not self.ended:
                    data: bytes = yield Read()
                    if not data:
                        raise Lost("the stream ended early", sent=True)
                    for event in self._events.feed(data):
                        for chunk in self._take(event):
                            failures = 0
                            yield Give(chunk)
                    if self._replay is not None and self._replay.other():
                        if self._replay.again:
                            raise Retryable(_GONE)
                        yield from self._tell_stored()
            except Lost as lost:
                self.connected = False
                if self._end:
                    self.ended = True
                    return
                failures += 1
                if failures > limits.retries:
                    raise Retryable(f"the connection was lost ({lost}); the answer goes on: resume it") from lost
                yield Wait(limits.pause(failures))

    @property
    def result(self) -> Result:
        """The answer so far."""
        message = self._fold.message
        end = self._end
        outcome: Outcome = "waiting" if waiting_calls(message) else "completed"
        if self.stopped and not self._seen:
            outcome = "stopped"
        outcome = {"abort": "stopped", "error": "failed"}.get(end.get("type", ""), outcome)  # type: ignore[assignment]
        return Result(message, outcome, self._fold.finish_reason, end.get("errorText"))

    def whole(self) -> Result:
        """The answer that has ended. Raises: Retryable when it was not followed to its end."""
        if not self.ended:
            raise Retryable("the answer was not read to its end; resume it")
        return self.result

    @property
    def name(self) -> str | None:
        """What a stop of this answer names: the answer's message, else the one that was sent."""
        return message_id(self._seen) or self._sent_id()

    @property
    def _end(self) -> Chunk:
        """The chunk that ended the answer; empty before it came."""
        return self._seen[-1] if self._seen and self._seen[-1]["type"] in ENDS else {}

    # -- connections --------------------------------------------------------------------------------------------

    def _connect(self) -> Steps[None]:
        """Have the answer told again, from its start."""
        gateway, again = self._gateway, self._post
        if again is not None and time.monotonic() - self._posted_s > gateway.limits.same_s:
            again = None
        reply = yield from gateway.ask(again or self._resume)
        self.connected = True
        self._events = Events()
        behind_prefix = again is None and self._initial is not None
        self._replay = Replay(self._seen, again=again is not None, behind_prefix=behind_prefix)
        if reply.status == 204:
            yield from self._tell_stored()

    def _tell_stored(self) -> Steps[None]:
        """Tell the rest out of the history: the answer has ended meanwhile."""
        self._replay = None
        messages = yield from self._history()
        for chunk in self._rest(_stored(messages, message_id(self._seen), self._sent_id()), {"type": "finish"}):
            yield Give(chunk)
        self.ended = True

    def _sent_id(self) -> str | None:
        return None if self._post is None or self._post.body is None else self._post.body["message"]["id"]

    # -- events -------------------------------------------------------------------------------------------------

    def _take(self, event: bytes) -> list[Chunk]:
        """The new chunks of an event."""
        if self.ended:
            return []
        if event == _DONE:
            replay, self._replay = self._replay, None
            chunks = [] if replay is None or replay.caught_up else self._told_differently(replay)
            self.ended = True
            return chunks
        chunk: Chunk = decode(event)
        if self._replay is not None:
            if not self._replay.take(chunk):
                return []
            self._renamed, self._replay = self._replay.renamed, None
        return [self._accept(chunk)]

    def _told_differently(self, replay: Replay) -> list[Chunk]:
        """What is new in a replay that is not the same stream, once it is there as a whole."""
        end = replay.told[-1] if replay.told and replay.told[-1]["type"] in ENDS else {"type": "finish"}
        told = fold_message(replay.told, self._initial)
        return self._rest(None if replay.other() else told, end)

    def _rest(self, told: UIMessage | None, end: Chunk) -> list[Chunk]:
        chunks = rest(self._fold, told) if told is not None else None
        if chunks is None:
            raise Retryable(_GONE)
        if not self._seen and told is not None:
            chunks.insert(0, {"type": "start", "messageId": told["id"]})
        return [self._accept(chunk) for chunk in (*chunks, end)]

    def _accept(self, chunk: Chunk) -> Chunk:
        if self._renamed and chunk.get("id") in self._renamed:
            chunk = {**chunk, "id": self._renamed[chunk["id"]]}
        self._seen.append(chunk)
        with suppress(StreamError):  # readers pass over what does not fit, as the stored message does
            self._fold.add(chunk)
        return chunk


def _stored(messages: list[UIMessage], answer_id: str | None, sent_id: str | None) -> UIMessage | None:
    """The answer with this id, else the one to the message that was sent, else to the last one."""
    for at, message in enumerate(messages):
        follows = at > 0 and messages[at - 1].get("id") == sent_id
        if message.get("role") == "assistant" and (
            message.get("id") in (answer_id, sent_id) or (follows and not answer_id)
        ):
            return message
    last = messages[-1] if messages else None
    return last if last and last.get("role") == "assistant" and answer_id is None and sent_id is None else None
