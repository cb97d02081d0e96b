"""The hooks of an agent: as decorators (`@support.on_turn_start`) or as keyword arguments of `chat.agent`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypedDict, TypeVar

from chatagent.agent.event import (
    Action,
    BeforeTurnComplete,
    Boot,
    C,
    ChatResume,
    ChatStart,
    ChatSuspend,
    Compacted,
    HydrateMessages,
    ModelMessage,
    Preload,
    PrepareMessages,
    Recovery,
    RecoveryBoot,
    TurnComplete,
    TurnStart,
    UIMessage,
    ValidateMessages,
)
from chatagent.agent.parameter import check_takes

E = TypeVar("E")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

#: Hooks may be plain functions (they run in a thread) or coroutine functions.
Hook = Callable[[E], Awaitable[None] | None]
#: Hooks whose answer counts.
Answer = Callable[[E], Awaitable[R] | R]


class HookOptions(TypedDict, Generic[C], total=False):
    """Hooks as keyword arguments of `chat.agent`; an agent may have several of one kind, called in order."""

    on_boot: Hook[Boot[C]]
    on_recovery_boot: Answer[RecoveryBoot[C], Recovery | None]
    on_preload: Hook[Preload[C]]
    on_chat_start: Hook[ChatStart[C]]
    on_validate_messages: Answer[ValidateMessages, Sequence[UIMessage]]
    hydrate_messages: Answer[HydrateMessages[C], Sequence[UIMessage]]
    on_turn_start: Hook[TurnStart[C]]
    prepare_messages: Answer[PrepareMessages[C], Sequence[ModelMessage]]
    on_before_turn_complete: Hook[BeforeTurnComplete[C]]
    on_turn_complete: Hook[TurnComplete[C]]
    on_action: Answer[Action[C, Any], Any]
    on_compacted: Hook[Compacted[C]]
    on_chat_suspend: Hook[ChatSuspend[C]]
    on_chat_resume: Hook[ChatResume[C]]


#: The names of all hooks, in the order in which a chat meets them.
HOOKS: tuple[str, ...] = tuple(HookOptions.__annotations__)


class Hooks(Generic[C]):
    """The hooks of one agent, and the decorators that add them. A hook that raises ends its turn with an error."""

    def __init__(self) -> None:
        self._hooks: dict[str, list[Callable[[Any], Any]]] = {}

    def of(self, name: str) -> Sequence[Callable[[Any], Any]]:
        """The hooks of one kind, in the order in which they were added."""
        return self._hooks.get(name, ())

    def add(self, name: str, hook: F) -> F:
        """Add a hook by the name of its kind. Raises: ConfigError for what cannot be called with the event."""
        check_takes(hook, "the event", name)
        self._hooks.setdefault(name, []).append(hook)
        return hook

    def on_boot(self, hook: Hook[Boot[C]]) -> Hook[Boot[C]]:
        """Call `hook` when a process takes up a run, before everything else."""
        return self.add("on_boot", hook)

    def on_recovery_boot(
        self, hook: Answer[RecoveryBoot[C], Recovery | None]
    ) -> Answer[RecoveryBoot[C], Recovery | None]:
        """Ask `hook` what to do with half an answer that an earlier attempt left; None keeps the default."""
        return self.add("on_recovery_boot", hook)

    def on_preload(self, hook: Hook[Preload[C]]) -> Hook[Preload[C]]:
        """Call `hook` when a run is started before there is a message."""
        return self.add("on_preload", hook)

    def on_chat_start(self, hook: Hook[ChatStart[C]]) -> Hook[ChatStart[C]]:
        """Call `hook` before the first turn of a chat, once per chat."""
        return self.add("on_chat_start", hook)

    def on_validate_messages(
        self, hook: Answer[ValidateMessages, Sequence[UIMessage]]
    ) -> Answer[ValidateMessages, Sequence[UIMessage]]:
        """Ask `hook` for the messages to take in; it raises to refuse them."""
        return self.add("on_validate_messages", hook)

    def hydrate_messages(
        self, hook: Answer[HydrateMessages[C], Sequence[UIMessage]]
    ) -> Answer[HydrateMessages[C], Sequence[UIMessage]]:
        """Ask `hook` for the history, the incoming messages included."""
        return self.add("hydrate_messages", hook)

    def on_turn_start(self, hook: Hook[TurnStart[C]]) -> Hook[TurnStart[C]]:
        """Call `hook` before every turn."""
        return self.add("on_turn_start", hook)

    def prepare_messages(
        self, hook: Answer[PrepareMessages[C], Sequence[ModelMessage]]
    ) -> Answer[PrepareMessages[C], Sequence[ModelMessage]]:
        """Ask `hook` for the model messages to use wherever some are made."""
        return self.add("prepare_messages", hook)

    def on_before_turn_complete(self, hook: Hook[BeforeTurnComplete[C]]) -> Hook[BeforeTurnComplete[C]]:
        """Call `hook` when the answer is there and its stream still open."""
        return self.add("on_before_turn_complete", hook)

    def on_turn_complete(self, hook: Hook[TurnComplete[C]]) -> Hook[TurnComplete[C]]:
        """Call `hook` after every turn is committed, also after one that failed or was stopped."""
        return self.add("on_turn_complete", hook)

    def on_action(self, hook: Answer[Action[C, Any], Any]) -> Answer[Action[C, Any], Any]:
        """Call `hook` for every action; it may return `chat.turn()`."""
        return self.add("on_action", hook)

    def on_compacted(self, hook: Hook[Compacted[C]]) -> Hook[Compacted[C]]:
        """Call `hook` when the conversation was summarised for the model."""
        return self.add("on_compacted", hook)

    def on_chat_suspend(self, hook: Hook[ChatSuspend[C]]) -> Hook[ChatSuspend[C]]:
        """Call `hook` when a run was idle for its idle timeout, and when its worker shuts down."""
        return self.add("on_chat_suspend", hook)

    def on_chat_resume(self, hook: Hook[ChatResume[C]]) -> Hook[ChatResume[C]]:
        """Call `hook` when a suspended run goes on."""
        return self.add("on_chat_resume", hook)
