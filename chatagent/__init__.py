"""Durable AI chat agents on Celery, Redis and Flask.

Names are loaded when they are first used, so that a gateway, which needs none of them, stays small.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chatagent import ai, auth, chat, sessions
    from chatagent.agent.task import Retry, task
    from chatagent.agent.task_run import TaskRun
    from chatagent.errors import AbortTaskRun
    from chatagent.llm import client_tool, has_tool_call, step_count_is, stream_text, tool

#: Where each public name lives.
_HOMES = {
    # What authors write.
    "chat": "chatagent.chat",
    "task": "chatagent.agent.task",
    "Retry": "chatagent.agent.task",
    "TaskRun": "chatagent.agent.task_run",
    "AbortTaskRun": "chatagent.errors",
    # Models and tools.
    "ai": "chatagent.ai",
    "client_tool": "chatagent.llm",
    "has_tool_call": "chatagent.llm",
    "step_count_is": "chatagent.llm",
    "stream_text": "chatagent.llm",
    "tool": "chatagent.llm",
    # Chats from outside: any process that reaches the gateway.
    "auth": "chatagent.auth",
    "sessions": "chatagent.sessions",
}

__all__ = [
    "AbortTaskRun",
    "Retry",
    "TaskRun",
    "ai",
    "auth",
    "chat",
    "client_tool",
    "has_tool_call",
    "sessions",
    "step_count_is",
    "stream_text",
    "task",
    "tool",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(home)
    return module if home == f"{__name__}.{name}" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
