"""Models and tools: `stream_text` over litellm, with the semantics of the AI SDK's `streamText`."""

from chatagent.llm.answer import Answer
from chatagent.llm.call import ToolCall
from chatagent.llm.choice import ToolChoice
from chatagent.llm.compaction import (
    Compaction,
    CompactionResult,
    CompactMessages,
    ShouldCompact,
    Summarize,
    compact,
    compact_if_needed,
    compaction_step,
    is_compaction_safe,
    keep_last,
    more_tokens_than,
    summary_message,
)
from chatagent.llm.context import ModelContext, StreamOptions, current_context
from chatagent.llm.error import InvalidToolInput, ModelError, NoSuchTool, ToolChoiceViolation
from chatagent.llm.execution import ToolOptions, abort_signal, current_call, current_tool_options, tool_call_id
from chatagent.llm.function_tool import FunctionTool, ToolKeywords, client_tool, to_tool, to_tools, tool
from chatagent.llm.options import StepSettings
from chatagent.llm.plan import NextStep, PlanStep, StepPlan
from chatagent.llm.provider import close_clients
from chatagent.llm.provider import load as load_litellm
from chatagent.llm.result import StreamTextResult
from chatagent.llm.step import Step
from chatagent.llm.stop import StopCondition, has_tool_call, step_count_is
from chatagent.llm.stream_text import stream_text
from chatagent.llm.subagent import SubAgentFailed, last_text, stream_to_tool_output
from chatagent.llm.summary import summarize_with
from chatagent.llm.tool import Tool
from chatagent.llm.usage import Usage

__all__ = [
    "Answer",
    "CompactMessages",
    "Compaction",
    "CompactionResult",
    "FunctionTool",
    "InvalidToolInput",
    "ModelContext",
    "ModelError",
    "NextStep",
    "NoSuchTool",
    "PlanStep",
    "ShouldCompact",
    "Step",
    "StepPlan",
    "StepSettings",
    "StopCondition",
    "StreamOptions",
    "StreamTextResult",
    "SubAgentFailed",
    "Summarize",
    "Tool",
    "ToolCall",
    "ToolChoice",
    "ToolChoiceViolation",
    "ToolKeywords",
    "ToolOptions",
    "Usage",
    "abort_signal",
    "client_tool",
    "close_clients",
    "compact",
    "compact_if_needed",
    "compaction_step",
    "current_call",
    "current_context",
    "current_tool_options",
    "has_tool_call",
    "is_compaction_safe",
    "keep_last",
    "last_text",
    "load_litellm",
    "more_tokens_than",
    "step_count_is",
    "stream_text",
    "stream_to_tool_output",
    "summarize_with",
    "summary_message",
    "to_tool",
    "to_tools",
    "tool",
    "tool_call_id",
]
