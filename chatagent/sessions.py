"""Sessions from Python: `from chatagent import sessions`, in a worker, a web app or a script.

The functions here talk to the gateway at CHATAGENT_URL with CHATAGENT_SECRET_KEY, read when they are called; `Sessions`
and, for asyncio, `AsyncSessions` have the same verbs and take both.
"""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Self, Unpack

import httpx

from chatagent.auth import create_public_token, own_secret
from chatagent.client import AsyncChat, Chat, Limits
from chatagent.client.handle import AsyncHandle, Handle
from chatagent.client.message import Content, user_message
from chatagent.client.outbox import Record
from chatagent.client.session_call import ListFilters, Start
from chatagent.client.session_call import close as close_call
from chatagent.client.session_call import page as page_call
from chatagent.client.session_call import retrieve as retrieve_call
from chatagent.client.session_call import start as start_call
from chatagent.client.session_call import update as update_call
from chatagent.client.session_item import SessionItem, SessionPage, read_item, read_page
from chatagent.client.wire import settings
from chatagent.duration import Duration
from chatagent.settings import Settings

__all__ = [
    "AsyncHandle",
    "AsyncSessions",
    "Handle",
    "ListFilters",
    "Record",
    "SessionItem",
    "SessionPage",
    "Sessions",
    "close",
    "create_start_session_action",
    "list",
    "open",
    "page",
    "retrieve",
    "start",
    "update",
]

#: What a page's `startSession` gets: its token, and the ids.
StartSession = Callable[..., dict[str, Any]]


class Sessions:
    """Sessions of one gateway; what is not given comes from the settings. For threads."""

    def __init__(
        self,
        url: str | None = None,
        *,
        secret_key: str | None = None,
        limits: Limits | None = None,
        http: httpx.Client | None = None,
    ) -> None:
        self._place = _place(url, secret_key)
        self._limits = limits
        self._chat = Chat(self._place[0], secret_key=self._place[1], limits=limits, http=http)

    def start(
        self,
        agent: Any,
        *,
        chat_id: str | None = None,
        client_data: Any = None,
        message: Content | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        user: str | None = None,
        preload: bool = False,
        expires_at: datetime | None = None,
    ) -> SessionItem:
        """Make a session, or find the one of this chat id: to start twice is to start once.

        `agent` is an agent or its id. `message` is answered at once; `preload` makes a run ready before there is one.
        From `expires_at` on it takes no more. Raises: Closed for a chat that was closed or has expired, NotFound for an
        unknown agent.
        """
        wanted = _wanted(agent, chat_id, client_data, message, tags, metadata, user, preload, expires_at)
        return read_item(self._chat.run(start_call(self._chat.gateway, wanted)))

    def retrieve(self, chat_id: str) -> SessionItem:
        """One session. Raises: NotFound."""
        return read_item(self._chat.run(retrieve_call(self._chat.gateway, chat_id)))

    def update(self, chat_id: str, **changes: Any) -> SessionItem:
        """Replace `tags` or `metadata` (None clears it). Raises: NotFound, BadRequest."""
        return read_item(self._chat.run(update_call(self._chat.gateway, chat_id, changes)))

    def close(self, chat_id: str, reason: str | None = None) -> SessionItem:
        """Close a session for good; the first reason stays. Raises: NotFound."""
        return read_item(self._chat.run(close_call(self._chat.gateway, chat_id, reason)))

    def list(self, **filters: Unpack[ListFilters]) -> Iterator[SessionItem]:
        """All sessions that fit, last active first."""
        following: str | None = filters.get("cursor")
        while True:
            found = self._page({**filters, "cursor": following})
            yield from found.sessions
            following = found.next
            if following is None:
                return

    def page(self, **filters: Unpack[ListFilters]) -> SessionPage:
        """One page of `limit` sessions (20, at most 100); `next` and `previous` are the cursors of its neighbours."""
        return self._page(filters)

    def _page(self, wanted: ListFilters) -> SessionPage:
        return read_page(self._chat.run(page_call(self._chat.gateway, wanted)))

    def open(self, chat_id: str) -> Handle:
        """A handle on one session, over the same connections."""
        url, secret_key = self._place
        return Handle(Chat(url, chat_id=chat_id, secret_key=secret_key, limits=self._limits, http=self._chat.http))

    def create_start_session_action(
        self, agent: Any, *, token_ttl: Duration = "1h", tags: Sequence[str] = (), preload: bool = True
    ) -> StartSession:
        """What a page's `startSession` calls, as a function for a view of yours; see the module's function."""

        def start_session(chat_id: str, client_data: Any = None, **further: Any) -> dict[str, Any]:
            given = {"tags": tags, "preload": preload, **further}
            session = self.start(agent, chat_id=chat_id, client_data=client_data, **given)
            return _started(session, token_ttl, self._place[1])

        return start_session

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._chat.close()


class AsyncSessions:
    """The same for asyncio: agents, FastAPI."""

    def __init__(
        self,
        url: str | None = None,
        *,
        secret_key: str | None = None,
        limits: Limits | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._place = _place(url, secret_key)
        self._limits = limits
        self._chat = AsyncChat(self._place[0], secret_key=self._place[1], limits=limits, http=http)

    async def start(
        self,
        agent: Any,
        *,
        chat_id: str | None = None,
        client_data: Any = None,
        message: Content | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        user: str | None = None,
        preload: bool = False,
        expires_at: datetime | None = None,
    ) -> SessionItem:
        """Make a session, or find the one of this chat id."""
        wanted = _wanted(agent, chat_id, client_data, message, tags, metadata, user, preload, expires_at)
        return read_item(await self._chat.run(start_call(self._chat.gateway, wanted)))

    async def retrieve(self, chat_id: str) -> SessionItem:
        """One session. Raises: NotFound."""
        return read_item(await self._chat.run(retrieve_call(self._chat.gateway, chat_id)))

    async def update(self, chat_id: str, **changes: Any) -> SessionItem:
        """Replace `tags` or `metadata` (None clears it)."""
        return read_item(await self._chat.run(update_call(self._chat.gateway, chat_id, changes)))

    async def close(self, chat_id: str, reason: str | None = None) -> SessionItem:
        """Close a session for good; the first reason stays."""
        return read_item(await self._chat.run(close_call(self._chat.gateway, chat_id, reason)))

    async def list(self, **filters: Unpack[ListFilters]) -> AsyncIterator[SessionItem]:
        """All sessions that fit, last active first; filters as in `Sessions.list`."""
        following: str | None = filters.get("cursor")
        while True:
            found = await self._page({**filters, "cursor": following})
            for each in found.sessions:
                yield each
            following = found.next
            if following is None:
                return

    async def page(self, **filters: Unpack[ListFilters]) -> SessionPage:
        """One page; `next` and `previous` are the cursors of its neighbours."""
        return await self._page(filters)

    async def _page(self, wanted: ListFilters) -> SessionPage:
        return read_page(await self._chat.run(page_call(self._chat.gateway, wanted)))

    def open(self, chat_id: str) -> AsyncHandle:
        """A handle on one session, over the same connections."""
        url, secret_key = self._place
        chat = AsyncChat(url, chat_id=chat_id, secret_key=secret_key, limits=self._limits, http=self._chat.http)
        return AsyncHandle(chat)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._chat.close()


def start(agent: Any, **options: Any) -> SessionItem:
    """Make a session, or find it: see `Sessions.start`."""
    with Sessions() as sessions:
        return sessions.start(agent, **options)


def retrieve(chat_id: str) -> SessionItem:
    """One session. Raises: NotFound."""
    with Sessions() as sessions:
        return sessions.retrieve(chat_id)


def update(chat_id: str, **changes: Any) -> SessionItem:
    """Replace `tags` or `metadata` of a session."""
    with Sessions() as sessions:
        return sessions.update(chat_id, **changes)


def close(chat_id: str, reason: str | None = None) -> SessionItem:
    """Close a session for good; the first reason stays."""
    with Sessions() as sessions:
        return sessions.close(chat_id, reason)


def list(**filters: Unpack[ListFilters]) -> Iterator[SessionItem]:
    """All sessions that fit, last active first: see `Sessions.list`."""
    with Sessions() as sessions:
        yield from sessions.list(**filters)


def page(**filters: Unpack[ListFilters]) -> SessionPage:
    """One page of sessions and the cursor of the next: see `Sessions.page`."""
    with Sessions() as sessions:
        return sessions.page(**filters)


def open(chat_id: str) -> Handle:
    """A handle on one session: `.in_.send(…)`, `.out.read()`. Nobody closes it, so it keeps no idle connection."""
    url, secret_key = _place(None, None)
    http = httpx.Client(**settings(url, Limits(), keep_alive=False))
    return Handle(Chat(url, chat_id=chat_id, secret_key=secret_key, http=http))


def create_start_session_action(
    agent: Any, *, token_ttl: Duration = "1h", tags: Sequence[str] = (), preload: bool = True
) -> StartSession:
    """A function for a view of yours: it starts the session, or finds it, and gives what a page needs to chat.

    It takes `chat_id`, `client_data` and what `Sessions.start` takes beside them (`tags metadata user`), and gives
    `{"publicAccessToken", "chatId", "sessionId", "runId", "isCached"}`. Only call it for a user who may have that chat.
    """

    def start_session(chat_id: str, client_data: Any = None, **further: Any) -> dict[str, Any]:
        with Sessions() as sessions:
            action = sessions.create_start_session_action(agent, token_ttl=token_ttl, tags=tags, preload=preload)
            return action(chat_id, client_data, **further)

    return start_session


def _place(url: str | None, secret_key: str | None) -> tuple[str, str]:
    """The gateway and its key. Raises: ConfigError when nobody said the key."""
    settings = Settings()
    return url or settings.url, secret_key if secret_key is not None else own_secret(settings)


def _wanted(
    agent: Any,
    chat_id: str | None,
    client_data: Any,
    message: Content | None,
    tags: Sequence[str],
    metadata: Mapping[str, Any] | None,
    user: str | None,
    preload: bool,
    expires_at: datetime | None,
) -> Start:
    name = agent if isinstance(agent, str) else agent.id
    first = None if message is None else user_message(message)
    return Start(name, chat_id, client_data, first, builtins.list(tags), metadata, user, preload, expires_at)


def _started(session: SessionItem, token_ttl: Duration, secret_key: str) -> dict[str, Any]:
    token = create_public_token(
        scopes={action: {"sessions": session.chat_id} for action in ("read", "write")},
        expires_in=token_ttl,
        user=session.user,
        secret_key=secret_key,
    )
    ids = {"chatId": session.chat_id, "sessionId": session.id, "runId": session.run_id}
    return {"publicAccessToken": token, **ids, "isCached": not session.created}
