"""Test agents: whole conversations in a few lines, on the real runtime, with a scripted model.

Names are loaded when they are first used: pytest imports the plugin of every installed package.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chatagent.testing.answer import Answer
    from chatagent.testing.chat import ChatAgent, TestChat
    from chatagent.testing.model import ScriptedModel, UnscriptedCall
    from chatagent.testing.request import Request
    from chatagent.testing.script import Step, calls, fails, pauses, respond, says, thinks
    from chatagent.testing.stage import shared
    from chatagent.testing.world import NotAnswered
    from chatagent.ui.reading import ToolCall

#: Where each public name lives.
_HOMES = {
    # Chats.
    "ChatAgent": "chat",
    "TestChat": "chat",
    "Answer": "answer",
    "ToolCall": "answer",
    "NotAnswered": "world",
    "shared": "stage",
    # The model.
    "ScriptedModel": "model",
    "UnscriptedCall": "model",
    "Request": "request",
    "Step": "script",
    "calls": "script",
    "fails": "script",
    "pauses": "script",
    "respond": "script",
    "says": "script",
    "thinks": "script",
}

__all__ = [
    "Answer",
    "ChatAgent",
    "NotAnswered",
    "Request",
    "ScriptedModel",
    "Step",
    "TestChat",
    "ToolCall",
    "UnscriptedCall",
    "calls",
    "fails",
    "pauses",
    "respond",
    "says",
    "shared",
    "thinks",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{home}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
