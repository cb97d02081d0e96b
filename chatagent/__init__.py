"""Durable AI chat agents on Celery, Redis and Flask.

Names are loaded when they are first used, so that a gateway, which needs none of them, stays small.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chatagent import chat
    from chatagent.llm import client_tool, has_tool_call, step_count_is, stream_text, tool

#: Where each public name lives.
_HOMES = {
    # What authors write.
    "chat": "chatagent.chat",
    # Models and tools.
    "client_tool": "chatagent.llm",
    "has_tool_call": "chatagent.llm",
    "step_count_is": "chatagent.llm",
    "stream_text": "chatagent.llm",
    "tool": "chatagent.llm",
}

__all__ = ["chat", "client_tool", "has_tool_call", "step_count_is", "stream_text", "tool"]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(home)
    return module if name == "chat" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
