"""The author's namespace: `from chatagent import chat`. What the AI chat docs call `chat.*`, in Python's names."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from chatagent.agent import (
    Action,
    Agent,
    BeforeTurnComplete,
    Boot,
    ChatResume,
    ChatStart,
    ChatSuspend,
    ChatTaskPayload,
    Compacted,
    CustomAgent,
    History,
    HydrateMessages,
    Local,
    LoopTurn,
    MessageAccumulator,
    PendingBatch,
    PendingMessages,
    PendingToolCall,
    Preload,
    PrepareMessages,
    Recovery,
    RecoveryBoot,
    RunContext,
    StreamOptions,
    ToolsFor,
    Turn,
    TurnComplete,
    TurnRequest,
    TurnStart,
    ValidateMessages,
    Writer,
    close,
    create_session,
    create_stop_signal,
    current_turn,
    custom_agent,
    defer,
    end_run,
    inject,
    is_stopped,
    messages,
    pipe,
    pipe_and_capture,
    prompt,
    response,
    set_idle_timeout,
    set_turn_timeout,
    set_ui_message_stream_options,
    stream,
    upsert_incoming_message,
    write_turn_complete,
)
from chatagent.agent.action import turn
from chatagent.agent.agent import agent
from chatagent.agent.local import local
from chatagent.agent.turn import history
from chatagent.duration import Duration
from chatagent.thread import wait
from chatagent.ui import cleanup_aborted_parts

#: The older name of `chat.agent`.
task = agent


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
    "turn",
    "upsert_incoming_message",
    "wait",
    "write_turn_complete",
]
