"""What a person says while an answer is being written: each message is sent at once, and waits at the gateway."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from chatagent.client import Answer, Chat
from chatagent.client.message import user_message
from chatagent.errors import ChatAgentError
from chatagent.ids import new_id
from chatagent.record import Busy


@dataclass(frozen=True, slots=True)
class Waiting:
    """One message, and the answer to it: empty when another answer took the message in, None when it was refused."""

    id: str
    text: str
    busy: Busy | None
    answer: Future[Answer | None]


class Queue:
    """The messages in the order in which they were said; a thread sends one after the other."""

    def __init__(self, chat: Chat, *, failed: Callable[[str], None]) -> None:
        self._chat = chat
        self._failed = failed
        self._sender = ThreadPoolExecutor(1, "sender")
        self._waiting: deque[Waiting] = deque()

    @property
    def messages(self) -> list[Waiting]:
        """Those that wait, oldest first."""
        return list(self._waiting)

    def say(self, text: str, busy: Busy | None = None) -> None:
        """Send a message, into the running answer with `busy="steer"`."""
        message_id = new_id()
        answer = self._sender.submit(self._send, message_id, text, busy)
        self._waiting.append(Waiting(message_id, text, busy, answer))

    def next(self) -> Waiting | None:
        """The message that waits longest, which is to be followed now."""
        return self._waiting.popleft() if self._waiting else None

    def take_back(self) -> None:
        """Cancel the last message, unless it is being answered by now."""
        if not self._waiting:
            self._failed("nothing waits")
            return
        self._sender.submit(self._cancel, self._waiting[-1])

    def close(self) -> None:
        """Send what was said, and no more."""
        self._sender.shutdown()

    def _send(self, message_id: str, text: str, busy: Busy | None) -> Answer | None:
        try:
            return self._chat.send(user_message(text, message_id), busy=busy)
        except ChatAgentError as error:
            self._failed(f"not sent: {text}: {error}")
            return None

    def _cancel(self, message: Waiting) -> None:
        try:
            self._chat.cancel_queued(message.id)
        except ChatAgentError as error:
            self._failed(str(error))
            return
        if message in self._waiting:
            self._waiting.remove(message)
