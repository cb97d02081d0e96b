"""One stock client and the gateways that it talks to, for scenarios; compares pages with what is stored."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from chatagent.ui import Dialect, fold_message, message_to_chunks
from tests.e2e.client import Chat, Client, Clients
from tests.e2e.page import assert_same, difference
from tests.e2e.server import Server, text_of

Message = dict[str, Any]


@dataclass
class Stage:
    """One client, two gateways, a folder: what a scenario plays with."""

    clients: Clients
    client: Client
    server: Server
    other_server: Server
    folder: Path
    #: There is an approval that the page was told of in other words than the store's: `_in_other_words`.
    translated: bool = False
    _gates: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def generation(self) -> str:
        return "7" if self.client == "ws7" else self.client[-1]

    def page(self, agent: str = "echo") -> Chat:
        """A page with a new chat."""
        started = self.server.start(agent)
        return self.clients.open(self.client, self.server.url, started.chat_id, token=started.token, auto=True)

    def again(self, chat: Chat) -> Chat:
        """The same chat on one more page, of the other gateway, that has read the history."""
        messages = self.server.messages(chat.chat_id)
        url = self.other_server.url
        return self.clients.open(self.client, url, chat.chat_id, token=chat.token, messages=messages, auto=True)

    def reload(self, chat: Chat) -> Chat:
        """Close the page and open it again: it reads the history and goes on with an answer that runs."""
        chat.close()
        again = self.again(chat)
        again.resume()
        return again

    def revive(self, chat: Chat) -> Chat:
        """What a page does when its connection was lost; gives the page.

        ai 5 adds what it resumes to what it has, so its page mounts the chat anew (AI SDK reference §4.5).
        """
        if self.generation == "5":
            return self.reload(chat)
        chat.revive()
        return chat

    def gate(self) -> Path:
        """A file to wait for, another each time."""
        return self.folder / f"gate-{next(self._gates)}"

    def same(self, chat: Chat) -> list[Message]:
        """The page rests and holds what is stored, and so does a page that is loaded now; gives it."""
        if not self.translated:
            return assert_same(chat, self.server)
        stored = self.server.messages(chat.chat_id)
        major: Literal[5, 6] = 5 if self.generation == "5" else 6
        shown, kept = ([_in_other_words(each, major) for each in side] for side in (chat.messages(), stored))
        assert not (told := difference(shown, kept)), told
        return stored

    def texts(self, chat: Chat, *expected: str) -> list[Message]:
        """The page holds what is stored, and these are the texts."""
        stored = self.same(chat)
        assert [text_of(each) for each in stored] == list(expected)
        return stored


def _in_other_words(message: Message, major: Literal[5, 6]) -> Message:
    """A message without what a generation cannot know of approvals.

    ai 6 has no chunk for the answer to one: only the page that gave it knows it. ai 5 knows nothing of approvals at
    all: they come as data parts, and a denial as an error.
    """
    if message["role"] == "user":
        return message
    dialect = Dialect(major)
    chunks = [each for chunk in message_to_chunks(message) for each in dialect.translate(chunk)]
    told = fold_message(chunks, major=major)
    dropped = ("approval", "errorText") if major == 5 else ("approval",)
    parts = [{key: part[key] for key in part if key not in dropped} for part in told["parts"]]
    return {**told, "parts": [part for part in parts if not part["type"].startswith("data-tool-approval-")]}
