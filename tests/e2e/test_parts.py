"""Parts as agents write them when nobody looks: every client holds what is stored, before and after a reload."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.client import Client, Clients
from tests.e2e.page import assert_same, open_page, reload_page
from tests.e2e.script import message, part
from tests.e2e.server import Server

pytestmark = pytest.mark.e2e

_OURS = {"toolCallId": "c", "toolName": "look"}
_FOREIGN = {"toolCallId": "d", "toolName": "x-y", "dynamic": True}
#: Interleaved, half a character at a time, empty, an id once more, longer than a record; outputs in pieces, calls of
#: tools that are not ours, None where there is nothing, a provider's words, and text that is never closed.
ODD: list[dict[str, Any]] = [
    {"type": "start-step"},
    {"type": "reasoning-start", "id": "a"},
    {"type": "text-start", "id": "a"},
    {"type": "text-delta", "id": "a", "delta": "\ud83d"},
    {"type": "reasoning-delta", "id": "a", "delta": "hm \x00"},
    {"type": "text-delta", "id": "a", "delta": "\ude00"},
    {"type": "text-end", "id": "a"},
    {"type": "reasoning-end", "id": "a"},
    {"type": "text-start", "id": "a"},
    {"type": "text-delta", "id": "a", "delta": ""},
    {"type": "text-delta", "id": "a", "delta": "x" * 1_100_000},
    {"type": "text-end", "id": "a"},
    {"type": "tool-input-available", **_OURS, "input": None},
    {"type": "tool-output-available", "toolCallId": "c", "output": 1, "preliminary": True},
    {"type": "tool-input-start", **_FOREIGN},
    {"type": "tool-input-delta", "toolCallId": "d", "inputTextDelta": '{"a": "b'},
    {"type": "tool-input-available", **_FOREIGN, "input": {"a": "b"}},
    {"type": "tool-output-available", "toolCallId": "c", "output": None},
    {"type": "tool-output-error", "toolCallId": "d", "errorText": "", "dynamic": True},
    {"type": "finish-step"},
    {"type": "source-url", "sourceId": "s", "url": "https://example.org/", "title": None},
    {"type": "data-x", "id": "1", "data": None, "label": "not kept", "transient": False},
    {"type": "text-start", "id": "open"},
    {"type": "finish", "finishReason": "tool_calls"},
]


@pytest.mark.parametrize("client", ["http5?ai=5", "http6?ai=6", "http7?ai=7", "ws7"])
def test_odd_parts_are_held_as_they_are_stored(client: Client, clients: Clients, server: Server) -> None:
    chat = open_page(clients, client, server)
    chat.ask(message(*map(part, ODD)))
    stored = assert_same(chat, server)
    assert [each["type"] for each in stored[-1]["parts"]] == [
        *("step-start", "reasoning", "text", "text", "tool-look", "dynamic-tool"),
        *("source-url", "data-x", "text", "step-start", "data-turn-end"),
    ]
    chat = reload_page(clients, chat, server)
    chat.wait_settled()
    assert_same(chat, server)
    assert (chat.status, chat.errors) == ("ready", [])
