"""A page that shows one chat: opened, reloaded, and compared with what the server stored."""

from __future__ import annotations

import difflib
from typing import Any

from tests.e2e.client import Chat, Client, Clients
from tests.e2e.server import Server, canonical


def open_page(clients: Clients, client: Client, server: Server, agent: str = "echo", *, auto: bool = False) -> Chat:
    """A page with a new chat; with `auto` it sends by itself when tool calls are answered."""
    started = server.start(agent)
    return clients.open(client, server.url, started.chat_id, token=started.token, auto=auto)


def reload_page(clients: Clients, chat: Chat, server: Server) -> Chat:
    """Close the page and open it again, perhaps through another gateway: it reads the history and resumes."""
    chat.close()
    messages = server.messages(chat.chat_id)
    again = clients.open(chat.client, server.url, chat.chat_id, token=chat.token, messages=messages, auto=chat.auto)
    again.resume()
    return again


def assert_same(chat: Chat, server: Server) -> list[dict[str, Any]]:
    """The page holds what is stored; gives it."""
    stored = server.messages(chat.chat_id)
    assert not (told := difference(chat.messages(), stored)), told
    return stored


def difference(shown: list[dict[str, Any]], stored: list[dict[str, Any]]) -> str:
    """How a page differs from what is stored, byte for byte; empty when it does not."""
    page, kept = canonical(shown), canonical(stored)
    if page == kept:
        return ""
    return "\n".join(difflib.unified_diff(kept.splitlines(), page.splitlines(), "stored", "shown", lineterm=""))
