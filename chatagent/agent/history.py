"""The conversation as the agent's code may change it; changes are stored with the turn's commit."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from chatagent.agent.event import HydrateMessages, UIMessage
from chatagent.errors import BadRequest
from chatagent.ui.reading import WAITING
from chatagent.ui.tool_part import tool_name

_RESOLVED = ("output-available", "output-error", "output-denied")


@dataclass(frozen=True, slots=True)
class ToolCallRef:
    """A tool call of the conversation, and the message that it stands in."""

    tool_call_id: str
    tool_name: str
    message_id: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A result that a message brings and the conversation does not have yet."""

    tool_call_id: str
    tool_name: str
    output: Any = None
    error_text: str | None = None


class History:
    """The messages before the answer of this turn (with it, when the turn continues an earlier answer).

    What is read are copies. Verbs that name an unknown message change nothing.
    """

    def __init__(self, messages: Sequence[UIMessage]) -> None:
        self._messages = list(messages)
        #: The conversation without what is coming in, until that is settled.
        self.stored: Sequence[UIMessage] | None = None
        #: Counts the changes.
        self.version = 0

    @property
    def messages(self) -> list[UIMessage]:
        """The messages themselves, for the runtime; unchanged ones are the objects that were stored."""
        return self._messages

    def all(self) -> list[UIMessage]:
        """All messages, oldest first."""
        return copy.deepcopy(self._messages)

    def get_chain(self) -> list[UIMessage]:
        """The messages that led here: all of them, since a chat has one line."""
        return self.all()

    def find_message(self, message_id: str) -> UIMessage | None:
        """The message by this id."""
        at = self._index(message_id)
        return None if at is None else copy.deepcopy(self._messages[at])

    def get_pending_tool_calls(self) -> list[ToolCallRef]:
        """Calls that wait for an answer or an approval."""
        return [ref for ref, part in _calls(self._messages) if part.get("state") in WAITING]

    def get_resolved_tool_calls(self) -> list[ToolCallRef]:
        """Calls that were answered, denied or failed."""
        return [ref for ref, part in _calls(self._messages) if part.get("state") in _RESOLVED]

    def extract_new_tool_results(self, message: UIMessage) -> list[ToolResult]:
        """What `message` answers that is not resolved in the conversation yet.

        In `on_validate_messages` and `hydrate_messages`, that is in what was stored before the message came.
        """
        known = self._messages if self.stored is None else self.stored
        resolved = {ref.tool_call_id for ref, part in _calls(known) if part.get("state") in _RESOLVED}
        found = {
            ref.tool_call_id: ToolResult(ref.tool_call_id, ref.tool_name, part.get("output"), part.get("errorText"))
            for ref, part in _calls([message])
            if part.get("state") in ("output-available", "output-error")
        }
        return [result for call_id, result in found.items() if call_id not in resolved]

    def set(self, messages: Iterable[UIMessage]) -> None:
        """Replace the whole conversation. Raises: BadRequest for what is no message."""
        self.become([_checked(message) for message in messages])

    def become(self, messages: list[UIMessage]) -> None:
        """Take over messages that were checked when they came."""
        if len(messages) != len(self._messages) or any(
            new is not old for new, old in zip(messages, self._messages, strict=True)
        ):
            self._messages = messages
            self.version += 1

    def remove(self, message_id: str) -> None:
        """Take one message out."""
        self.become([message for message in self._messages if message.get("id") != message_id])

    def rollback_to(self, message_id: str) -> None:
        """Drop everything after this message."""
        at = self._index(message_id)
        if at is not None:
            self.become(self._messages[: at + 1])

    def replace(self, message_id: str, message: UIMessage) -> None:
        """Put another message in the place of this one."""
        at = self._index(message_id)
        if at is not None:
            self.become([*self._messages[:at], _checked(message), *self._messages[at + 1 :]])

    def slice(self, start: int, end: int | None = None) -> None:
        """Keep only `messages[start:end]`."""
        self.become(self._messages[start:end])

    def _index(self, message_id: str) -> int | None:
        for at in range(len(self._messages) - 1, -1, -1):
            if self._messages[at].get("id") == message_id:
                return at
        return None


def upsert_incoming_message(stored: list[UIMessage], incoming: HydrateMessages[Any] | Sequence[UIMessage]) -> bool:
    """Append the fresh user messages of an event of `hydrate_messages` to `stored`; known ids are left alone.

    Returns whether something was appended.
    """
    if isinstance(incoming, HydrateMessages):
        incoming = incoming.incoming_messages
    known = {message.get("id") for message in stored}
    fresh = [message for message in incoming if message.get("role") == "user" and message.get("id") not in known]
    stored.extend(fresh)
    return bool(fresh)


def _calls(messages: Sequence[UIMessage]) -> Iterator[tuple[ToolCallRef, dict[str, Any]]]:
    for message in messages:
        for part in _tool_parts(message):
            yield ToolCallRef(part["toolCallId"], tool_name(part), str(message.get("id"))), part


def _tool_parts(message: UIMessage) -> Iterator[dict[str, Any]]:
    return (part for part in message.get("parts", ()) if part.get("toolCallId"))


def _checked(message: UIMessage) -> UIMessage:
    if not isinstance(message, dict) or not isinstance(message.get("parts"), list) or not message.get("id"):
        raise BadRequest("must be a UIMessage: a dict with id, role and parts", field="messages")
    return message
