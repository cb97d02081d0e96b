"""Stock AI SDK chats in one long-lived Node process (`client.mjs`), for tests in Python."""

from __future__ import annotations

import itertools
import json
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.node import Node

#: `DefaultChatTransport` of ai 5, 6 and 7, perhaps saying so in its URL, and `WebSocketChatTransport` of ai 7.
Client = Literal["http5", "http6", "http7", "ws7", "http5?ai=5", "http6?ai=6", "http7?ai=7"]
CLIENTS: tuple[Client, ...] = ("http5", "http6", "http7", "ws7", "http5?ai=5", "http6?ai=6", "http7?ai=7")
#: Those that understand all that the server says.
FLUENT: tuple[Client, ...] = ("ws7", "http7?ai=7")

FOLDER = Path(__file__).parent
#: Seconds for anything that a test waits for here.
WAIT_S = 60.0


class Clients:
    """The Node process and the chats in it."""

    def __init__(self, node: Node) -> None:
        self._chats: dict[str, Chat] = {}
        self._answers: dict[int, dict[str, Any]] = {}
        self._numbers = itertools.count()
        self.changed = threading.Condition()
        self._process = subprocess.Popen(
            [node.binary, "client.mjs"], cwd=FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read, name="node clients", daemon=True)
        self._reader.start()

    def open(
        self, client: Client, url: str, chat_id: str, *, token: str, messages: Any = (), auto: bool = False
    ) -> Chat:
        """A chat as a page makes it; `messages` are what the page already holds.

        With `auto` it sends by itself when every tool call of the last step is answered (`sendAutomaticallyWhen`).
        """
        name = f"{client}-{next(self._numbers)}"
        chat = self._chats[name] = Chat(self, name, client, url, chat_id, token, auto)
        _, mark, query = client.partition("?")
        how = {"url": f"{url}/api/chat{mark}{query}", "id": chat_id, "messages": list(messages), "client": client}
        over = {"token": token} if client == "ws7" else {"headers": {"Authorization": f"Bearer {token}"}}
        self.ask(name, "open", **how, **over, auto=auto)
        return chat

    def ask(self, chat: str, do: str, **fields: Any) -> Any:
        """Run one command; gives its answer."""
        number = next(self._numbers)
        assert self._process.stdin is not None
        with self.changed:
            self._process.stdin.write(json.dumps({"n": number, "do": do, "chat": chat, **fields}) + "\n")
            self._process.stdin.flush()
            assert self.wait(lambda: number in self._answers), f"no answer to {do}"
            answer = self._answers.pop(number)
        assert "failed" not in answer, f"{do}: {answer['failed']}"
        return answer["ok"]

    def wait(self, condition: Callable[[], object]) -> bool:
        """Wait, holding `changed`, until the condition is true; false when it was not before the deadline."""
        return bool(self.changed.wait_for(condition, WAIT_S))

    def close_pages(self) -> None:
        """Close all pages; their connections end."""
        for chat in list(self._chats.values()):
            if not chat.closed:
                chat.close()

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(WAIT_S)
        self._reader.join(WAIT_S)
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            with self.changed:
                if "re" in told:
                    self._answers[told["re"]] = told
                else:
                    self._chats[told["chat"]].tell(told)
                self.changed.notify_all()


@dataclass(eq=False)
class Chat:
    """One chat object of the AI SDK and what it has told."""

    _clients: Clients = field(repr=False)
    name: str
    client: Client
    url: str
    chat_id: str
    token: str = field(repr=False)
    auto: bool
    status: str = "ready"
    closed: bool = False
    #: Chunks that came over the wire, over all answers.
    chunks: list[dict[str, Any]] = field(default_factory=list)
    data: list[dict[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    finishes: list[dict[str, Any]] = field(default_factory=list)
    _started: int = 0
    _settled: int = 0
    _cut: bool = False

    # -- what a page does -----------------------------------------------------------------------------------------

    def send(self, text: str, *, metadata: Any = None) -> None:
        """Begin to send; the answer comes by itself."""
        self._begin("send", text=text, metadata=metadata)

    def send_again(self) -> list[dict[str, Any]]:
        """Send the user's newest message once more, without the page knowing; gives the chunks that answer it."""
        found: list[dict[str, Any]] = self._clients.ask(self.name, "sendAgain")
        return found

    def send_parts(self, *parts: dict[str, Any]) -> None:
        """Begin to send a message of these parts."""
        self._begin("send", parts=parts)

    def edit(self, message_id: str, text: str) -> None:
        """Replace a message of the user and drop what follows it."""
        self._begin("send", text=text, messageId=message_id)

    def regenerate(self, message_id: str | None = None) -> None:
        """Ask for another answer."""
        self._begin("regenerate", messageId=message_id)

    def resume(self) -> None:
        """Go on with the answer that is being written, as a page does when it is loaded."""
        self._begin("resume")

    def revive(self) -> None:
        """Go on after a lost connection, as a page does when it becomes visible."""
        self._begin("revive")

    def tool_output(self, tool: str, call_id: str, output: Any) -> None:
        """Answer a tool call that the page runs; the page sends it on when it was the last."""
        self._begin("toolOutput", tool=tool, toolCallId=call_id, output=output)

    def approve(self, approval_id: str, approved: bool, reason: str | None = None) -> None:
        """Approve or deny a tool call; the page sends it on when it was the last."""
        self._begin("approve", id=approval_id, approved=approved, reason=reason)

    def send_on(self) -> None:
        """Send what was answered on the page, where it does not do so by itself."""
        self._begin("sendOn")

    def stop(self) -> None:
        """`chat.stop()`: over HTTP it only hangs up, over the WebSocket it also tells the server."""
        self._clients.ask(self.name, "stop")

    def drop(self, after: int) -> None:
        """Lose the connection when `after` more chunks have come."""
        self._cut = False
        self._clients.ask(self.name, "drop", after=after)

    def lose(self) -> None:
        """Lose the connection now."""
        self._clients.ask(self.name, "lose")

    def close(self) -> None:
        """Close the tab."""
        self._clients.ask(self.name, "close")
        self.closed = True

    def hold(self, messages: list[dict[str, Any]]) -> None:
        """Put other messages on the page."""
        self._clients.ask(self.name, "hold", messages=messages)

    def messages(self) -> list[dict[str, Any]]:
        """What the page shows."""
        found: list[dict[str, Any]] = self._clients.ask(self.name, "messages")
        return found

    # -- what a test waits for ------------------------------------------------------------------------------------

    def ask(self, text: str) -> None:
        """Send and wait for the end of the answer."""
        self.send(text)
        self.wait_settled()

    def wait_settled(self) -> None:
        """Wait until all that was begun has ended."""
        self._wait(lambda: self._settled == self._started, "the answer ended")

    def wait_answers(self, count: int) -> None:
        """Wait until so many answers have ended, also those that the page asked for by itself."""
        self._wait(lambda: len(self.finishes) >= count and self.status in ("ready", "error"), f"{count} answers")

    def wait_chunks(self, count: int) -> None:
        """Wait until so many chunks have come."""
        self._wait(lambda: len(self.chunks) >= count, f"{count} chunks")

    def wait_text(self, text: str) -> None:
        """Wait until the text deltas that came end with `text`."""
        self._wait(lambda: self.text.endswith(text), f"the text {text!r}")

    def wait_cut(self) -> None:
        """Wait until the connection was lost."""
        self._wait(lambda: self._cut, "the connection is cut")

    @property
    def text(self) -> str:
        """All text deltas that came over the wire."""
        return "".join(chunk["delta"] for chunk in self.chunks if chunk["type"] == "text-delta")

    def tell(self, event: dict[str, Any]) -> None:
        """Take an event of the Node process."""
        match event["event"]:
            case "status":
                self.status = event["status"]
            case "chunk":
                self.chunks.append(event["chunk"])
            case "data":
                self.data.append(event["part"])
            case "error":
                self.errors.append(event["message"])
            case "finish":
                self.finishes.append(event)
            case "cut":
                self._cut = True
            case "settled":
                self._settled += 1
                if "failed" in event:
                    self.errors.append(event["failed"])

    def _begin(self, do: str, **fields: Any) -> None:
        self._started += 1
        self._clients.ask(self.name, do, **fields)

    def _wait(self, condition: Callable[[], object], what: str) -> None:
        with self._clients.changed:
            assert self._clients.wait(condition), f"not within {WAIT_S:g} s: {what}; {self!r}"
