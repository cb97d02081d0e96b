"""What was said in a chat before, or by others: shown once, in order."""

from __future__ import annotations

from typing import Any

from chatagent.cli.screen import Screen
from chatagent.client import Answer, Chat

UIMessage = dict[str, Any]


class Past:
    """Which messages of a chat a screen has shown."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._shown: dict[str, UIMessage] = {}
        #: The chat as it was when it was looked at last.
        self.session: dict[str, Any] = {}

    @property
    def last(self) -> UIMessage | None:
        """The last message."""
        messages = self.session.get("messages") or [None]
        found: UIMessage | None = messages[-1]
        return found

    def show(self, chat: Chat) -> Answer | None:
        """Show what is new, and give the answer that is being written, if there is one.

        Messages that wait for their turn are left for it.
        """
        self.session = session = chat.snapshot()
        running = chat.resume() if session["status"] != "idle" else None
        queued = {(entry.get("message") or {}).get("id") for entry in chat.queue()} if running is not None else set()
        messages = [each for each in session["messages"] if each["id"] not in queued]
        if running is not None and messages and messages[-1]["role"] == "assistant":
            messages.pop()  # it is told again, from its start
        for message in messages:
            if self._shown.get(message["id"]) != message:
                self.shown(message)
                self._screen.message(message)
        return running

    def shown(self, message: UIMessage) -> None:
        """It stands on the screen as it is."""
        self._shown[message["id"]] = message
