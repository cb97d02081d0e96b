"""The author's namespace: `from chatagent import chat`. What the AI chat docs call `chat.*`, in Python's names."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from chatagent.agent import stream
from chatagent.agent.action import TurnRequest, turn
from chatagent.agent.agent import Agent, agent
from chatagent.agent.event import (
    Action,
    BeforeTurnComplete,
    Boot,
    ChatResume,
    ChatStart,
    ChatSuspend,
    Compacted,
    HydrateMessages,
    ModelMessage,
    PendingToolCall,
    Preload,
    PrepareMessages,
    Recovery,
    RecoveryBoot,
    RunContext,
    TurnComplete,
    TurnStart,
    UIMessage,
    ValidateMessages,
    Writer,
)
from chatagent.agent.history import History, upsert_incoming_message
from chatagent.agent.injection import inject
from chatagent.agent.local import Local, local
from chatagent.agent.loop import ChatTaskPayload, CustomAgent, custom_agent
from chatagent.agent.loop_message import (
    MessageAccumulator,
    cleanup_aborted_parts,
    create_stop_signal,
    messages,
    pipe_and_capture,
    to_model_messages,
    write_turn_complete,
)
from chatagent.agent.loop_turn import LoopTurn, create_session
from chatagent.agent.options import PendingBatch, PendingMessages, StreamOptions, ToolsFor
from chatagent.agent.suggestion import suggest
from chatagent.agent.turn import (
    Turn,
    close,
    current_turn,
    defer,
    end_run,
    history,
    is_stopped,
    pipe,
    prompt,
    response,
    set_idle_timeout,
    set_turn_timeout,
    set_ui_message_stream_options,
)
from chatagent.duration import Duration
from chatagent.thread import wait

#: The older name of `chat.agent`.
task = agent

#: What the AI chat docs of Trigger.dev have in `chat` under another name, or do another way.
_ELSEWHERE = {
    "ChatTaskWirePayload": "chat.ChatTaskPayload",
    "convert_to_model_messages": "chat.to_model_messages",
    "set_messages": "chat.history.set",
    "set_ui_message_stream_options": "chat.set_ui_message_stream_options",
    "set_warm_timeout_in_seconds": "chat.set_idle_timeout",
    "to_stream_text_options": "nothing: stream_text finds its turn by itself",
    "with_client_data": "@chat.agent(…, client_data=Model)",
    "with_ui_message": "@chat.agent(…, data_parts={…}, message_metadata_schema=Model)",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Says what a name that is not here is called. (Type checkers see it by themselves.)"""
        told = f"module {__name__!r} has no attribute {name!r}"
        if name.startswith("__"):
            raise AttributeError(told)
        meant = suggest(name, [*__all__, *_ELSEWHERE])
        if meant is not None:
            told += f"; here it is {_ELSEWHERE.get(meant, f'chat.{meant}')}"
        raise AttributeError(told)


def create_start_session_action(
    agent: Any, *, token_ttl: Duration = "1h", tags: Sequence[str] = (), preload: bool = True
) -> Callable[..., dict[str, Any]]:
    """What the `startSession` of Trigger.dev's transport calls on your server (`sessions.create_start_session_action`).

    It is found when it is called: authors who only answer turns need no client of a gateway.
    """
    make: Callable[..., Callable[..., dict[str, Any]]] = import_module("chatagent.sessions").create_start_session_action
    return make(agent, token_ttl=token_ttl, tags=tags, preload=preload)


__all__ = [
    "Action",
    "Agent",
    "BeforeTurnComplete",
    "Boot",
    "ChatResume",
    "ChatStart",
    "ChatSuspend",
    "ChatTaskPayload",
    "Compacted",
    "CustomAgent",
    "History",
    "HydrateMessages",
    "Local",
    "LoopTurn",
    "MessageAccumulator",
    "ModelMessage",
    "PendingBatch",
    "PendingMessages",
    "PendingToolCall",
    "Preload",
    "PrepareMessages",
    "Recovery",
    "RecoveryBoot",
    "RunContext",
    "StreamOptions",
    "ToolsFor",
    "Turn",
    "TurnComplete",
    "TurnRequest",
    "TurnStart",
    "UIMessage",
    "ValidateMessages",
    "Writer",
    "agent",
    "cleanup_aborted_parts",
    "close",
    "create_session",
    "create_start_session_action",
    "create_stop_signal",
    "current_turn",
    "custom_agent",
    "defer",
    "end_run",
    "history",
    "inject",
    "is_stopped",
    "local",
    "messages",
    "pipe",
    "pipe_and_capture",
    "prompt",
    "response",
    "set_idle_timeout",
    "set_turn_timeout",
    "set_ui_message_stream_options",
    "stream",
    "task",
    "to_model_messages",
    "turn",
    "upsert_incoming_message",
    "wait",
    "write_turn_complete",
]
