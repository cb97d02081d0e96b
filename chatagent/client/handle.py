"""Both logs of one session: what clients send goes in, what the agent tells comes out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from typing import Any

from chatagent.client.asynchronous import AsyncChat
from chatagent.client.blocking import Chat
from chatagent.client.message import Content, user_message
from chatagent.client.outbox import Record
from chatagent.client.session_call import append as append_call


class _Input:
    """What clients send to a chat."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    def send(self, content: Content, *, metadata: Any = None, busy: str | None = None) -> int:
        """Send a message and do not wait for its answer; gives its seq. `busy` as in the agent's options."""
        return self._append(_message(self._chat.chat_id, content, metadata, busy))

    def action(self, action: Any, *, metadata: Any = None) -> int:
        """Run an action of the agent; gives its seq."""
        return self._append(_action(self._chat.chat_id, action, metadata))

    def stop(self) -> bool:
        """Stop the running answer; False when there is none."""
        return self._chat.stop()

    def inject(self, messages: str | Sequence[Mapping[str, Any]]) -> None:
        """Tell the model what no user said, at its next step or in the next turn: `chat.inject` from outside.

        A text is an instruction. Takes the secret key.
        """
        self._chat.run(append_call(self._chat.gateway, self._chat.chat_id, "in", _injection(messages)))

    def _append(self, record: Mapping[str, Any]) -> int:
        told = self._chat.run(append_call(self._chat.gateway, self._chat.chat_id, "in", record))
        return int(told["seq"])


class _Output:
    """What the agent tells."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    def read(self, after: int | None = None, *, latest: bool = False) -> Generator[Record, None, None]:
        """Every record after a seq (None: all that are kept; `latest`: only new ones), as it comes, until the close."""
        return self._chat.records(after, latest=latest)

    def append(self, chunk: Mapping[str, Any]) -> None:
        """Show a data chunk beside the running answer. Raises: Busy when nothing is being answered."""
        self._chat.run(append_call(self._chat.gateway, self._chat.chat_id, "out", {"data": dict(chunk)}))


class Handle:
    """One session: `in_` takes, `out` tells. Making one calls nobody."""

    def __init__(self, chat: Chat) -> None:
        self.chat = chat
        self.in_ = _Input(chat)
        self.out = _Output(chat)

    @property
    def chat_id(self) -> str:
        """The app's own id of the chat."""
        return self.chat.chat_id


class _AsyncInput:
    """What clients send to a chat."""

    def __init__(self, chat: AsyncChat) -> None:
        self._chat = chat

    async def send(self, content: Content, *, metadata: Any = None, busy: str | None = None) -> int:
        """Send a message and do not wait for its answer; gives its seq."""
        return await self._append(_message(self._chat.chat_id, content, metadata, busy))

    async def action(self, action: Any, *, metadata: Any = None) -> int:
        """Run an action of the agent; gives its seq."""
        return await self._append(_action(self._chat.chat_id, action, metadata))

    async def stop(self) -> bool:
        """Stop the running answer; False when there is none."""
        return await self._chat.stop()

    async def inject(self, messages: str | Sequence[Mapping[str, Any]]) -> None:
        """Tell the model what no user said, at its next step or in the next turn."""
        await self._chat.run(append_call(self._chat.gateway, self._chat.chat_id, "in", _injection(messages)))

    async def _append(self, record: Mapping[str, Any]) -> int:
        told = await self._chat.run(append_call(self._chat.gateway, self._chat.chat_id, "in", record))
        return int(told["seq"])


class _AsyncOutput:
    """What the agent tells."""

    def __init__(self, chat: AsyncChat) -> None:
        self._chat = chat

    def read(self, after: int | None = None, *, latest: bool = False) -> AsyncGenerator[Record, None]:
        """Every record after a seq (None: all that are kept; `latest`: only new ones), as it comes, until the close."""
        return self._chat.records(after, latest=latest)

    async def append(self, chunk: Mapping[str, Any]) -> None:
        """Show a data chunk beside the running answer."""
        await self._chat.run(append_call(self._chat.gateway, self._chat.chat_id, "out", {"data": dict(chunk)}))


class AsyncHandle:
    """One session: `in_` takes, `out` tells."""

    def __init__(self, chat: AsyncChat) -> None:
        self.chat = chat
        self.in_ = _AsyncInput(chat)
        self.out = _AsyncOutput(chat)

    @property
    def chat_id(self) -> str:
        """The app's own id of the chat."""
        return self.chat.chat_id


def _injection(messages: str | Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"kind": "inject", "messages": messages if isinstance(messages, str) else [dict(each) for each in messages]}


def _message(chat_id: str, content: Content, metadata: Any, busy: str | None) -> dict[str, Any]:
    payload = {"chatId": chat_id, "trigger": "submit-message", "message": user_message(content)}
    further = {"metadata": metadata, "busy": busy}
    return {"kind": "message", "payload": payload | {name: each for name, each in further.items() if each is not None}}


def _action(chat_id: str, action: Any, metadata: Any) -> dict[str, Any]:
    payload = {"chatId": chat_id, "trigger": "action", "action": action}
    return {"kind": "message", "payload": payload if metadata is None else {**payload, "metadata": metadata}}
