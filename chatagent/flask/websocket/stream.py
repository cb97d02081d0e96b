"""Requests of a WebSocket that are answered over time: one answer chunk by chunk, or a whole chat record by record.

A chunk's JSON was encoded once, by the worker; here it is only wrapped, never read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import orjson

from chatagent.errors import NotFound
from chatagent.flask.feed import AnswerFeed, Feed
from chatagent.flask.overview import Overview
from chatagent.flask.token import Identity
from chatagent.flask.websocket.frame import error_reply, reply
from chatagent.record import chunk_type, control_headers, control_kind


class Stream(Protocol):
    """One request that is being answered."""

    request_id: str
    chat_id: str

    @property
    def done(self) -> bool:
        """The last frame was given."""

    def frames(self, max_bytes: int) -> list[bytes]:
        """The next frames; empty when there are none now. Raises: StoreDown."""

    def ack(self, number: int) -> None:
        """The client has dealt with everything up to this number."""

    def close(self) -> None:
        """Listen no more."""


class _Window:
    """How much may be sent before the client says that it has dealt with it."""

    def __init__(self, size: int | None, at: int) -> None:
        self._size = size
        self._acked = at

    def ack(self, number: int) -> None:
        self._acked = max(self._acked, number)

    def room(self, sent: int) -> int | None:
        """Records that may still be sent after number `sent`; None is any."""
        return None if self._size is None else max(0, self._size - (sent - self._acked))


class AnswerStream:
    """`send` and `resume`: start, then chunk{sequence} from 0, then end."""

    def __init__(
        self, request_id: str, chat_id: str, feed: AnswerFeed, *, resumed: bool = False, window: int | None = None
    ) -> None:
        self.request_id = request_id
        self.chat_id = chat_id
        self.resumed = resumed
        self.done = False
        self.sequence = 0
        #: Called when the last frame was given.
        self.on_end: Callable[[], None] = lambda: None
        self._feed = feed
        self._window = _Window(window, -1)
        self._head = b'{"type":"chunk","requestId":%s,"sequence":' % orjson.dumps(request_id)
        self._last = b""
        self._start = [reply("start", request_id)]

    @property
    def session_id(self) -> str:
        """The session that answers."""
        return self._feed.feed.session_id

    @property
    def answered(self) -> int:
        """The inbox record that this is the answer to."""
        return self._feed.answer.seq

    @property
    def failed(self) -> bool:
        """The last chunk was an error, at which clients stop reading."""
        return self._last.startswith(b'{"type":"error"')

    def frames(self, max_bytes: int) -> list[bytes]:
        """The next frames. Raises: StoreDown."""
        frames, self._start = self._start, []
        chunks = self._feed.take(max_bytes=max_bytes, max_records=self._window.room(self.sequence - 1))
        head, sequence = self._head, self.sequence
        for chunk in chunks:
            frames.append(b'%b%d,"chunk":%b}' % (head, sequence, chunk))
            sequence += 1
        self.sequence = sequence
        if chunks:
            self._last = chunks[-1]
        elif self._feed.done:
            self.done = True
            frames.append(self._end())
            self.on_end()
        return frames

    def _end(self) -> bytes:
        if self._feed.answer.trimmed:
            return error_reply(self.request_id, NotFound("the answer is no longer in the stream; reload the chat"))
        return reply("end", self.request_id)

    def ack(self, number: int) -> None:
        """Chunks up to this sequence are dealt with."""
        self._window.ack(number)

    def close(self) -> None:
        """Listen no more."""
        self._feed.close()


class RecordStream:
    """`watch`: every record of every turn after a cursor, for ever, and the messages that wait whenever they change."""

    done = False

    def __init__(
        self,
        request_id: str,
        chat_id: str,
        feed: Feed,
        cursor: int,
        *,
        read_queue: Callable[[], list[dict[str, Any]]],
        open_to: Callable[[Identity], bool],
        window: int | None = None,
        watcher: Identity | None = None,
    ) -> None:
        self.request_id = request_id
        self.chat_id = chat_id
        #: Who watches; None is whoever the socket is at the moment.
        self.watcher = watcher
        #: Whether somebody may watch this.
        self.open_to = open_to
        self._feed = feed
        self._cursor = cursor
        self._window = _Window(window, cursor)
        self._head = b'{"type":"record","requestId":%s,"id":%s,"seq":' % (
            orjson.dumps(request_id),
            orjson.dumps(chat_id),
        )
        self._start = [reply("start", request_id, id=chat_id, cursor=cursor)]
        self._read_queue = read_queue
        self._queue: list[dict[str, Any]] = []
        #: What waits may not be what was told last.
        self._doubt = True

    def frames(self, max_bytes: int) -> list[bytes]:
        """The next frames. Raises: StoreDown."""
        queue = self._queue_frames()
        frames, self._start = [*self._start, *queue], []
        batch = self._feed.take(max_bytes=max_bytes, max_records=self._window.room(self._cursor))
        if batch is None:
            return frames
        if batch.first != self._cursor + 1:
            lost = {"from": self._cursor + 1, "to": batch.first - 1}
            frames.append(reply("trimmed", self.request_id, id=self.chat_id, **lost))
        for seq, raw in enumerate(batch.records, batch.first):
            kind = control_kind(raw)
            if kind is None:
                frames.append(b'%b%d,"chunk":%b}' % (self._head, seq, raw))
                self._doubt = self._doubt or (bool(self._queue) and chunk_type(raw) == "steering-message")
            else:
                self._doubt = True
                headers = orjson.dumps({"kind": kind, **control_headers(raw)})
                frames.append(b'%b%d,"control":%b}' % (self._head, seq, headers))
        self._cursor = batch.last
        return frames

    def _queue_frames(self) -> list[bytes]:
        """What waits, if that changed. Raises: StoreDown; the next call tries again."""
        self._doubt = self._feed.queue_rung() or self._doubt
        if not self._doubt:
            return []
        queue = self._read_queue()
        self._doubt = False
        if queue == self._queue:
            return []
        self._queue = queue
        return [reply("queue", self.request_id, id=self.chat_id, queue=queue)]

    def ack(self, number: int) -> None:
        """Records up to this seq are dealt with."""
        self._window.ack(number)

    def close(self) -> None:
        """Listen no more."""
        self._feed.close()


class OverviewStream:
    """`watch` of a tag or a user: their chats as they are, then each as it changes, for ever."""

    done = False
    chat_id = ""

    def __init__(
        self,
        request_id: str,
        overview: Overview,
        *,
        open_to: Callable[[Identity], bool],
        watcher: Identity | None = None,
    ) -> None:
        self.request_id = request_id
        self.watcher = watcher
        self.open_to = open_to
        self._overview = overview
        self._start = [reply("start", request_id)]

    def frames(self, max_bytes: int) -> list[bytes]:
        """The next frames. Raises: StoreDown."""
        frames, self._start = self._start, []
        update = self._overview.take()
        if update is None:
            return frames
        if update.whole:
            return [*frames, reply("chats", self.request_id, chats=update.chats, cursor=update.cursor)]
        return frames + [reply("chat", self.request_id, chat=chat) for chat in update.chats]

    def ack(self, number: int) -> None:
        """Changes are few; nothing waits for these."""

    def close(self) -> None:
        """Follow it no more."""
        self._overview.close()
