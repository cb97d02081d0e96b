"""What hooks are given: frozen events, generic in the author's client data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

UIMessage = dict[str, Any]
ModelMessage = dict[str, Any]

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class ChatStart(Generic[C]):
    """The first message of a chat is about to be answered; fires once per chat."""

    chat_id: str
    run_id: str
    client_data: C
    messages: list[ModelMessage]
    continuation: bool = False
    previous_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class TurnStart(Generic[C]):
    """A turn is about to run; `messages` and `ui_messages` end with what is to be answered."""

    chat_id: str
    run_id: str
    turn: int
    client_data: C
    messages: list[ModelMessage]
    ui_messages: list[UIMessage]
    continuation: bool = False
    previous_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class TurnComplete(Generic[C]):
    """A turn is committed. `error` is set when it failed; `stopped` when the user stopped it."""

    chat_id: str
    run_id: str
    turn: int
    client_data: C
    messages: list[ModelMessage]
    ui_messages: list[UIMessage]
    new_messages: list[ModelMessage]
    new_ui_messages: list[UIMessage]
    response_message: UIMessage | None
    raw_response_message: UIMessage | None
    last_event_id: str
    stopped: bool = False
    continuation: bool = False
    finish_reason: str | None = None
    usage: dict[str, Any] = field(default_factory=dict)
    total_usage: dict[str, Any] = field(default_factory=dict)
    error: BaseException | None = None
