"""`AsyncChat` and `AsyncSessions` for asyncio: goes through the steps of the core with `httpx.AsyncClient`."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Self, TypeVar, Unpack

import httpx

from chatagent.client.conversation import Conversation
from chatagent.client.credential import AsyncTokenSource, Credential
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

    def __init__(self, http: httpx.AsyncClient, gateway: Gateway) -> None:
        self.http = http
        self.gateway = gateway
        self._response: httpx.Response | None = None
        self._pieces: AsyncIterator[bytes] | None = None

    async def run(self, steps: Steps[T]) -> T:
        """Go through all steps and give the result."""
        flow = Flow(steps)
        async for _ in self.chunks(flow):
            pass
        return flow.value

    async def chunks(self, flow: Flow[Any]) -> AsyncIterator[Chunk]:
        """Go through all steps and give the chunks."""
        want = flow.advance()
        while want is not None:
            if isinstance(want, Give):
                yield want.chunk
                want = flow.advance()
                continue
            try:
                answer = await self._do(want)
            except Lost as lost:
                want = flow.advance(error=lost)
            else:
                want = flow.advance(answer)

    async def _do(self, want: Want) -> Any:
        try:
            match want:
                case Call():
                    return await self._call(want)
                case Read():
                    return await anext(self._pieces, b"") if self._pieces is not None else b""
                case Wait():
                    return await asyncio.sleep(want.seconds)
                case Renew():
                    source: Callable[[], Any] | None = self.gateway.credential.source
                    fresh = source() if source is not None else None
                    return await fresh if inspect.isawaitable(fresh) else fresh
        except httpx.TransportError as error:
            raise Lost(str(error) or type(error).__name__, sent=not isinstance(error, NEVER_SENT)) from error

    async def _call(self, call: Call) -> Reply:
        await self.close()
        response = await self.http.send(request(self.http, self.gateway, call), stream=True)
        if call.stream and response.status_code == httpx.codes.OK:
            self._response, self._pieces = response, response.aiter_bytes()
            return Reply(response.status_code, response.headers)
        try:
            return Reply(response.status_code, response.headers, await response.aread())
        finally:
            await response.aclose()

    async def close(self) -> None:
        """Let go of the open stream."""
        response, self._response, self._pieces = self._response, None, None
        if response is not None:
            await response.aclose()


class AsyncAnswer:
    """An answer that is being written: iterate over its chunks, its text, or wait for its `result`."""

    def __init__(self, chat: AsyncChat, following: Following, line: _Line) -> None:
        self.chat = chat
        self._following = following
        self._line = line
        self._chunks = line.chunks(Flow(following.chunks()))

    def __aiter__(self) -> Self:
        """The chunks of the stream, each once, over lost connections too. What was given before is not told again."""
        return self

    async def __anext__(self) -> Chunk:
        try:
            return await anext(self._chunks)
        except BaseException:
            await self.close()
            raise

    async def text_stream(self) -> AsyncIterator[str]:
        """The text as it comes. Raises: ChatAgentError when the answer fails."""
        reader = TextReader()
        async for chunk in self:
            if text := reader.read(chunk):
                yield text

    async def result(self) -> Result:
        """Wait for the end, and give the whole answer; a failure is told in its `outcome`."""
        async for _ in self:
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

    async def stop(self) -> bool:
        """End this answer; what was written stays. False when it has ended: the next one is never stopped."""
        stopped = await self.chat.stop(self._following.name)
        self._following.stopped |= stopped
        return stopped

    async def close(self) -> None:
        """Stop reading. The answer goes on being written."""
        await self._line.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


class AsyncSessions:
    """All chats that a token may see."""

    def __init__(
        self,
        url: str,
        *,
        token: AsyncTokenSource | None = None,
        secret_key: str | None = None,
        limits: Limits | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._gateway = Gateway(url, Credential(token, secret_key), limits or Limits())
        self._own = http is None
        self._http = http or httpx.AsyncClient(**settings(url, self._gateway.limits))

    async def list(self, **filters: Unpack[ListFilters]) -> dict[str, Any]:
        """A page of chats, last active first: `data`, and `pagination` with the cursors `next` and `previous`."""
        return await self.run(page(self._gateway, filters))

    async def agents(self) -> Sequence[dict[str, Any]]:
        """The agents that workers have announced."""
        return await self.run(self._gateway.agents())

    async def close(self) -> None:
        """Close the connections."""
        if self._own:
            await self._http.aclose()

    @property
    def http(self) -> httpx.AsyncClient:
        """The connections, to share them with another chat."""
        return self._http

    @property
    def gateway(self) -> Gateway:
        """Where calls go, for steps of `chatagent.client`."""
        return self._gateway

    def run(self, steps: Steps[T]) -> Awaitable[T]:
        """Go through the steps of a call."""
        return _Line(self._http, self._gateway).run(steps)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


class AsyncChat(AsyncSessions):
    """One chat, at a gateway's `url`. Credentials: a token, what gives tokens (awaited where need be), or the
    servers' secret key. The chat is made by the first message, or by `start`.
    """

    def __init__(
        self,
        url: str,
        agent: str | None = None,
        *,
        chat_id: str | None = None,
        token: AsyncTokenSource | None = None,
        secret_key: str | None = None,
        limits: Limits | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        super().__init__(url, token=token, secret_key=secret_key, limits=limits, http=http)
        self._chat = Conversation(self._gateway, agent, chat_id)

    @property
    def chat_id(self) -> str:
        """The app's own id of the chat."""
        return self._chat.chat_id

    async def start(self, *, tags: Sequence[str] = (), metadata: Any = None, user: str | None = None) -> dict[str, Any]:
        """Make the session, or find it; needs the secret key or a token that may start chats with the agent."""
        return await self.run(self._chat.start(tags, metadata, user))

    async def session(self) -> dict[str, Any]:
        """What the gateway knows about the chat. Raises: NotFound before the first message."""
        return await self.run(self._chat.session())

    async def records(self, after: int | None = None, *, latest: bool = False) -> AsyncGenerator[Record, None]:
        """Every record of the chat's outbox after a seq (None: all that are kept), or only new ones (`latest`).

        Ends when the chat is closed; one that is not made yet is waited for.
        """
        line = _Line(self._http, self._gateway)
        try:
            async for given in line.chunks(Flow(follow(self._gateway, self._chat.out_path, after, latest=latest))):
                yield given["record"]
        finally:
            await line.close()

    async def snapshot(self) -> dict[str, Any]:
        """The chat with its `messages`, and `out_cursor`: behind it, `records` tells what is not in them."""
        return await self.run(self._chat.snapshot())

    async def history(self) -> Sequence[UIMessage]:
        """The conversation: stored messages, and those that are not answered yet."""
        return await self.run(self._chat.history())

    async def send(
        self,
        content: Content,
        *,
        metadata: Any = None,
        body: Mapping[str, Any] | None = None,
        busy: Busy | None = None,
    ) -> AsyncAnswer:
        """Send text, parts or a message; `metadata` is the agent's client data, `body` reaches it as `turn.body`.

        `busy` says what happens if the chat is answering something else (None: what its agent says).
        """
        return await self._answer(self._chat.send(content, metadata, body, busy))

    async def steer(self, content: Content, *, metadata: Any = None) -> int:
        """Send a message into the answer that is being written, at its next step; gives its seq.

        Who follows that answer sees it. When the answer has no further step, the message gets one of its own.
        """
        return await self.run(self._chat.steer(content, metadata))

    async def action(self, action: Any, *, metadata: Any = None) -> AsyncAnswer:
        """Run an action of the agent; the answer is empty unless the agent answers it with a turn."""
        return await self._answer(self._chat.action(action, metadata))

    async def queue(self) -> Sequence[dict[str, Any]]:
        """The messages that wait for an answer, each `seq kind busy at message`."""
        return await self.run(self._chat.queue())

    async def edit_queued(
        self, name: str | int, content: Content | None = None, *, busy: Busy | None = None
    ) -> dict[str, Any]:
        """Replace a message that waits (by its id or seq), or say anew what happens to it. Raises: NotFound."""
        return await self.run(self._chat.change_queued(name, content, busy))

    async def cancel_queued(self, name: str | int) -> dict[str, Any]:
        """Take out a message that waits, by its id or seq. Raises: NotFound when it is being answered, or was."""
        return await self.run(self._chat.cancel_queued(name))

    async def edit(self, message_id: str, content: Content, *, metadata: Any = None) -> AsyncAnswer:
        """Replace a message of the user; what followed it is forgotten."""
        return await self._answer(self._chat.edit(message_id, content, metadata))

    async def regenerate(self, message_id: str | None = None, *, metadata: Any = None) -> AsyncAnswer:
        """Have the last message answered again, or the one that `message_id` names (or is the answer to)."""
        return await self._answer(self._chat.regenerate(message_id, metadata))

    async def answer_tool(
        self, tool_call_id: str, output: Any = None, *, error: str | None = None, metadata: Any = None
    ) -> AsyncAnswer:
        """Give the output (or the error) of a tool that runs on our side. Raises: NotFound when none waits for it."""
        return await self._answer(self._chat.answer_tool(tool_call_id, output, error, metadata))

    async def approve(
        self, approval_id: str, approved: bool = True, reason: str | None = None, *, metadata: Any = None
    ) -> AsyncAnswer:
        """Answer an approval. Raises: NotFound when nothing waits for it."""
        return await self._answer(self._chat.approve(approval_id, approved, reason, metadata))

    async def resume(self) -> AsyncAnswer | None:
        """The answer that is being written, from its start; None when there is none."""
        line = _Line(self._http, self._gateway)
        following = await line.run(self._chat.resume())
        return None if following is None else AsyncAnswer(self, following, line)

    async def stop(self, message_id: str | None = None) -> bool:
        """Stop the answer that is being written; False when there is none.

        With the id of a message: its answer alone. A message that waits behind another is taken out.
        """
        return await self.run(self._chat.stop(message_id))

    async def close_session(self, reason: str | None = None) -> dict[str, Any]:
        """Close the chat for good: later messages raise Closed."""
        return await self.run(self._chat.close(reason))

    async def mint_token(
        self, scopes: Sequence[str] = ("read", "write"), *, ttl_s: int | None = None, user: str | None = None
    ) -> str:
        """A token for this chat, to hand to a browser; needs the secret key."""
        return await self.run(self._chat.mint(scopes, ttl_s, user))

    async def _answer(self, steps: Steps[Following]) -> AsyncAnswer:
        line = _Line(self._http, self._gateway)
        return AsyncAnswer(self, await line.run(steps), line)
