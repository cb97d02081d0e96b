"""`Chat` and `Sessions` for threads: goes through the steps of the core with `httpx.Client`."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, Self, TypeVar, Unpack, cast

import httpx

from chatagent.client.conversation import Conversation
from chatagent.client.credential import Credential, TokenSource
from chatagent.client.follow import Following
from chatagent.client.gateway import Gateway, Limits
from chatagent.client.message import Content
from chatagent.client.outbox import Record, follow
from chatagent.client.result import Result
from chatagent.client.session_call import ListFilters, page
from chatagent.client.want import Call, Chunk, Flow, Give, Lost, Read, Renew, Reply, Steps, Wait, Want
from chatagent.client.wire import NEVER_SENT, TextReader, request, settings
from chatagent.record import Busy

T = TypeVar("T")
UIMessage = dict[str, Any]


class _Line:
    """What goes through steps. An answer has a line of its own: it holds the open stream."""

    def __init__(self, http: httpx.Client, gateway: Gateway) -> None:
        self.http = http
        self.gateway = gateway
        self._response: httpx.Response | None = None
        self._pieces: Iterator[bytes] = iter(())

    def run(self, steps: Steps[T]) -> T:
        """Go through all steps and give the result."""
        flow = Flow(steps)
        for _ in self.chunks(flow):
            pass
        return flow.value

    def chunks(self, flow: Flow[Any]) -> Iterator[Chunk]:
        """Go through all steps and give the chunks."""
        want = flow.advance()
        while want is not None:
            if isinstance(want, Give):
                yield want.chunk
                want = flow.advance()
                continue
            try:
                answer = self._do(want)
            except Lost as lost:
                want = flow.advance(error=lost)
            else:
                want = flow.advance(answer)

    def _do(self, want: Want) -> Any:
        try:
            match want:
                case Call():
                    return self._call(want)
                case Read():
                    return next(self._pieces, b"")
                case Wait():
                    return time.sleep(want.seconds)
                case Renew():
                    return cast("Callable[[], str]", self.gateway.credential.source)()
        except httpx.TransportError as error:
            raise Lost(str(error) or type(error).__name__, sent=not isinstance(error, NEVER_SENT)) from error

    def _call(self, call: Call) -> Reply:
        self.close()
        response = self.http.send(request(self.http, self.gateway, call), stream=True)
        if call.stream and response.status_code == httpx.codes.OK:
            self._response, self._pieces = response, response.iter_bytes()
            return Reply(response.status_code, response.headers)
        try:
            return Reply(response.status_code, response.headers, response.read())
        finally:
            response.close()

    def close(self) -> None:
        """Let go of the open stream."""
        response, self._response, self._pieces = self._response, None, iter(())
        if response is not None:
            response.close()


class Answer:
    """An answer that is being written: iterate over its chunks, its text, or wait for its `result`."""

    def __init__(self, chat: Chat, following: Following, line: _Line) -> None:
        self.chat = chat
        self._following = following
        self._line = line
        self._chunks = line.chunks(Flow(following.chunks()))

    def __iter__(self) -> Self:
        """The chunks of the stream, each once, over lost connections too. What was given before is not told again."""
        return self

    def __next__(self) -> Chunk:
        try:
            return next(self._chunks)
        except BaseException:
            self.close()
            raise

    def text_stream(self) -> Iterator[str]:
        """The text as it comes. Raises: ChatAgentError when the answer fails."""
        return filter(None, map(TextReader().read, self))

    def result(self) -> Result:
        """Wait for the end, and give the whole answer; a failure is told in its `outcome`."""
        for _ in self:
            pass
        return self._following.whole()

    @property
    def connected(self) -> bool:
        """False while the connection is lost and made again."""
        return self._following.connected

    @property
    def so_far(self) -> Result:
        """The answer up to what was iterated."""
        return self._following.result

    def stop(self) -> bool:
        """End this answer; what was written stays. False when it has ended: the next one is never stopped."""
        stopped = self.chat.stop(self._following.name)
        self._following.stopped |= stopped
        return stopped

    def close(self) -> None:
        """Stop reading. The answer goes on being written."""
        self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class Sessions:
    """All chats that a token may see."""

    def __init__(
        self,
        url: str,
        *,
        token: TokenSource | None = None,
        secret_key: str | None = None,
        limits: Limits | None = None,
        http: httpx.Client | None = None,
    ) -> None:
        self._gateway = Gateway(url, Credential(token, secret_key), limits or Limits())
        self._own = http is None
        self._http = http or httpx.Client(**settings(url, self._gateway.limits))

    def list(self, **filters: Unpack[ListFilters]) -> dict[str, Any]:
        """A page of chats, last active first: `data`, and `pagination` with the cursors `next` and `previous`."""
        return self.run(page(self._gateway, filters))

    def agents(self) -> Sequence[dict[str, Any]]:
        """The agents that workers have announced."""
        return self.run(self._gateway.agents())

    def close(self) -> None:
        """Close the connections."""
        if self._own:
            self._http.close()

    @property
    def http(self) -> httpx.Client:
        """The connections, to share them with another chat."""
        return self._http

    @property
    def gateway(self) -> Gateway:
        """Where calls go, for steps of `chatagent.client`."""
        return self._gateway

    def run(self, steps: Steps[T]) -> T:
        """Go through the steps of a call."""
        return _Line(self._http, self._gateway).run(steps)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class Chat(Sessions):
    """One chat, at a gateway's `url`. Credentials: a token, what gives tokens, or the servers' secret key.

    The chat is made by the first message, or by `start`. Safe to use from several threads.
    """

    def __init__(
        self,
        url: str,
        agent: str | None = None,
        *,
        chat_id: str | None = None,
        token: TokenSource | None = None,
        secret_key: str | None = None,
        limits: Limits | None = None,
        http: httpx.Client | None = None,
    ) -> None:
        super().__init__(url, token=token, secret_key=secret_key, limits=limits, http=http)
        self._chat = Conversation(self._gateway, agent, chat_id)

    @property
    def chat_id(self) -> str:
        """The app's own id of the chat."""
        return self._chat.chat_id

    def start(self, *, tags: Sequence[str] = (), metadata: Any = None, user: str | None = None) -> dict[str, Any]:
        """Make the session, or find it; needs the secret key or a token that may start chats with the agent."""
        return self.run(self._chat.start(tags, metadata, user))

    def session(self) -> dict[str, Any]:
        """What the gateway knows about the chat. Raises: NotFound before the first message."""
        return self.run(self._chat.session())

    def records(self, after: int | None = None, *, latest: bool = False) -> Generator[Record, None, None]:
        """Every record of the chat's outbox after a seq (None: all that are kept), or only new ones (`latest`).

        Ends when the chat is closed; one that is not made yet is waited for.
        """
        line = _Line(self._http, self._gateway)
        try:
            for given in line.chunks(Flow(follow(self._gateway, self._chat.out_path, after, latest=latest))):
                yield given["record"]
        finally:
            line.close()

    def snapshot(self) -> dict[str, Any]:
        """The chat with its `messages`, and `out_cursor`: behind it, `records` tells what is not in them."""
        return self.run(self._chat.snapshot())

    def history(self) -> list[UIMessage]:
        """The conversation: stored messages, and those that are not answered yet."""
        return self.run(self._chat.history())

    def send(
        self,
        content: Content,
        *,
        metadata: Any = None,
        body: Mapping[str, Any] | None = None,
        busy: Busy | None = None,
    ) -> Answer:
        """Send text, parts or a message; `metadata` is the agent's client data, `body` reaches it as `turn.body`.

        `busy` says what happens if the chat is answering something else (None: what its agent says).
        """
        return self._answer(self._chat.send(content, metadata, body, busy))

    def steer(self, content: Content, *, metadata: Any = None) -> int:
        """Send a message into the answer that is being written, at its next step; gives its seq.

        Who follows that answer sees it. When the answer has no further step, the message gets one of its own.
        """
        return self.run(self._chat.steer(content, metadata))

    def action(self, action: Any, *, metadata: Any = None) -> Answer:
        """Run an action of the agent; the answer is empty unless the agent answers it with a turn."""
        return self._answer(self._chat.action(action, metadata))

    def queue(self) -> Sequence[dict[str, Any]]:
        """The messages that wait for an answer, each `seq kind busy at message`."""
        return self.run(self._chat.queue())

    def edit_queued(
        self, name: str | int, content: Content | None = None, *, busy: Busy | None = None
    ) -> dict[str, Any]:
        """Replace a message that waits (by its id or seq), or say anew what happens to it. Raises: NotFound."""
        return self.run(self._chat.change_queued(name, content, busy))

    def cancel_queued(self, name: str | int) -> dict[str, Any]:
        """Take out a message that waits, by its id or seq. Raises: NotFound when it is being answered, or was."""
        return self.run(self._chat.cancel_queued(name))

    def edit(self, message_id: str, content: Content, *, metadata: Any = None) -> Answer:
        """Replace a message of the user; what followed it is forgotten."""
        return self._answer(self._chat.edit(message_id, content, metadata))

    def regenerate(self, message_id: str | None = None, *, metadata: Any = None) -> Answer:
        """Have the last message answered again, or the one that `message_id` names (or is the answer to)."""
        return self._answer(self._chat.regenerate(message_id, metadata))

    def answer_tool(
        self, tool_call_id: str, output: Any = None, *, error: str | None = None, metadata: Any = None
    ) -> Answer:
        """Give the output (or the error) of a tool that runs on our side. Raises: NotFound when none waits for it."""
        return self._answer(self._chat.answer_tool(tool_call_id, output, error, metadata))

    def approve(
        self, approval_id: str, approved: bool = True, reason: str | None = None, *, metadata: Any = None
    ) -> Answer:
        """Answer an approval. Raises: NotFound when nothing waits for it."""
        return self._answer(self._chat.approve(approval_id, approved, reason, metadata))

    def resume(self) -> Answer | None:
        """The answer that is being written, from its start; None when there is none."""
        line = _Line(self._http, self._gateway)
        following = line.run(self._chat.resume())
        return None if following is None else Answer(self, following, line)

    def stop(self, message_id: str | None = None) -> bool:
        """Stop the answer that is being written; False when there is none.

        With the id of a message: its answer alone. A message that waits behind another is taken out.
        """
        return self.run(self._chat.stop(message_id))

    def close_session(self, reason: str | None = None) -> dict[str, Any]:
        """Close the chat for good: later messages raise Closed."""
        return self.run(self._chat.close(reason))

    def mint_token(
        self, scopes: Sequence[str] = ("read", "write"), *, ttl_s: int | None = None, user: str | None = None
    ) -> str:
        """A token for this chat, to hand to a browser; needs the secret key."""
        return self.run(self._chat.mint(scopes, ttl_s, user))

    def _answer(self, steps: Steps[Following]) -> Answer:
        line = _Line(self._http, self._gateway)
        return Answer(self, line.run(steps), line)
