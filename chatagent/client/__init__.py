"""Chat with agents from Python, over a gateway: `Chat` for threads, `AsyncChat` for asyncio."""

from chatagent.client.asynchronous import AsyncAnswer, AsyncChat, AsyncSessions
from chatagent.client.blocking import Answer, Chat, Sessions
from chatagent.client.credential import TokenSource
from chatagent.client.gateway import Limits
from chatagent.client.result import Result
from chatagent.client.session_call import ListFilters
from chatagent.ui.reading import ToolCall, tool_call

__all__ = [
    "Answer",
    "AsyncAnswer",
    "AsyncChat",
    "AsyncSessions",
    "Chat",
    "Limits",
    "ListFilters",
    "Result",
    "Sessions",
    "TokenSource",
    "ToolCall",
    "tool_call",
]
