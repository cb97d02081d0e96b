"""Durable AI chat agents on Celery, Redis and Flask."""

# What authors write.
from chatagent import chat

# Models and tools.
from chatagent.llm import has_tool_call, step_count_is, stream_text, tool

__all__ = ["chat", "has_tool_call", "step_count_is", "stream_text", "tool"]
