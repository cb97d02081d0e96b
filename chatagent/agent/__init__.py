"""What authors write against: agents, their hooks, and the turn that they answer.

Functions that are named like a module here (`agent`, `turn`, `local`, `history`) are found in `chatagent.chat`.
"""

from chatagent.agent.action import TurnRequest
from chatagent.agent.agent import Agent
from chatagent.agent.event import (
    Action,
    BeforeTurnComplete,
    Boot,
    ChatResume,
    ChatStart,
    ChatSuspend,
    Compacted,
    HydrateMessages,
    PendingToolCall,
    Preload,
    PrepareMessages,
    Recovery,
    RecoveryBoot,
    RunContext,
    TurnComplete,
    TurnStart,
    ValidateMessages,
    Writer,
)
from chatagent.agent.history import History, ToolCallRef, ToolResult, upsert_incoming_message
from chatagent.agent.injection import inject
from chatagent.agent.local import Local
from chatagent.agent.loop import ChatTaskPayload, CustomAgent, custom_agent
from chatagent.agent.loop_message import (
    MessageAccumulator,
    create_stop_signal,
    messages,
    pipe_and_capture,
    write_turn_complete,
)
from chatagent.agent.loop_turn import LoopTurn, create_session
from chatagent.agent.options import AgentOptions, PendingBatch, PendingMessages, StreamOptions, ToolsFor
from chatagent.agent.turn import (
    Turn,
    close,
    current_turn,
    defer,
    end_run,
    is_stopped,
    pipe,
    prompt,
    response,
    set_idle_timeout,
    set_turn_timeout,
    set_ui_message_stream_options,
)

__all__ = [
    "Action",
    "Agent",
    "AgentOptions",
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
    "ToolCallRef",
    "ToolResult",
    "ToolsFor",
    "Turn",
    "TurnComplete",
    "TurnRequest",
    "TurnStart",
    "ValidateMessages",
    "Writer",
    "close",
    "create_session",
    "create_stop_signal",
    "current_turn",
    "custom_agent",
    "defer",
    "end_run",
    "inject",
    "is_stopped",
    "messages",
    "pipe",
    "pipe_and_capture",
    "prompt",
    "response",
    "set_idle_timeout",
    "set_turn_timeout",
    "set_ui_message_stream_options",
    "upsert_incoming_message",
    "write_turn_complete",
]
