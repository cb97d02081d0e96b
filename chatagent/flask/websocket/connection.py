"""The WebSocket door: many chats on one socket, in the frames of AI SDK 7's `WebSocketChatTransport`.

A closed socket never stops an answer; an `abort` or `stop` frame does. Close codes: RFC 6455 §7.4.
"""

from __future__ import annotations

import logging
import math
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from simple_websocket import ConnectionClosed

from chatagent.errors import BadRequest, ChatAgentError, Unauthorized
from chatagent.flask import chat_queue
from chatagent.flask.access import require
from chatagent.flask.feed import Feed
from chatagent.flask.gateway import Gateway
from chatagent.flask.message import read_action, read_send
from chatagent.flask.overview import Overview, read_listing, shows
from chatagent.flask.token import Identity
from chatagent.flask.websocket.frame import Frame, error_reply, read_frame, reply
from chatagent.flask.websocket.stream import AnswerStream, OverviewStream, RecordStream
from chatagent.flask.websocket.wire import SafeSocket
from chatagent.flask.websocket.writer import Writer

logger = logging.getLogger(__name__)

POLICY_VIOLATION = 1008
INTERNAL_ERROR = 1011
SERVICE_RESTART = 1012
#: A close frame's reason may have this many bytes.
_MAX_REASON = 123
#: Seconds that are waited at once for the end of a token.
_LONGEST_WAIT_S = 3600.0
_WATCH_ENDED = "the token has expired; send an auth frame with a new one, and watch again from your cursor"


class Connection:
    """One WebSocket. Frames come in on the handler's thread and go out on one writer's."""

    def __init__(self, gateway: Gateway, ws: Any, identity: Identity | None) -> None:
        self.gateway = gateway
        self.identity = identity
        self._ws = ws
        self._sock = SafeSocket(ws.sock, lambda: len(ws.input_buffer), patience_s=gateway.options.ping_interval_s)
        ws.sock = self._sock
        self._writer = Writer(self._sock, sent=self._alive, failed=self._writer_failed)

    def serve(self) -> None:
        """Handle frames until the connection ends."""
        try:
            while (data := self._receive()) is not None:
                self._handle(read_frame(data))
        except ConnectionClosed:
            pass
        except BadRequest as error:
            self.close(POLICY_VIOLATION, str(error))
        except Exception:
            logger.exception("websocket failed")
            self.close(INTERNAL_ERROR, "internal error")
        finally:
            for stream in self._writer.unfinished():
                if isinstance(stream, AnswerStream):
                    self.gateway.left(stream.session_id, resumed=stream.resumed, ended=False)
            self._writer.close()
            # The receiving thread closes when the peer does; our server would cut the socket at once.
            self._ws.thread.join(timeout=2)

    def restart(self) -> None:
        """Tell the client to come back, to the process that follows this one."""
        if self._sock.busy:
            self._sock.abort()
        self.close(SERVICE_RESTART, "service restart")

    def close(self, code: int, reason: str) -> None:
        """Close with a reason, and wake the handler, which simple-websocket does not."""
        with suppress(ConnectionClosed):  # by the other side, meanwhile
            try:
                self._ws.close(code, reason.encode()[:_MAX_REASON].decode(errors="ignore"))
            except OSError:
                self._sock.abort()
        self._ws.event.set()

    def _receive(self) -> str | bytes | None:
        """The next frame; None when the connection has ended."""
        deadline_s = time.monotonic() + self.gateway.options.auth_timeout_s
        while self._ws.connected:
            left_s = self._end_watches() if self.identity is not None else deadline_s - time.monotonic()
            if self.identity is None and left_s is not None and left_s <= 0:
                self.close(POLICY_VIOLATION, "a token is needed: ?token=, a subprotocol or an auth frame")
                return None
            data: str | bytes | None = self._ws.receive(timeout=left_s)
            if data is not None:
                self._sock.made_room()
                return data
        return None

    def _end_watches(self) -> float | None:
        """End what is watched with a token that has ended; gives the seconds until the next does, None for never."""
        next_s = math.inf
        for stream in self._watches():
            identity = stream.watcher or self.identity
            left_s = math.inf if identity is None else identity.left_s()
            if left_s > 0:
                next_s = min(next_s, left_s)
            elif self._writer.remove(stream.request_id) is not None:
                self._writer.reply(error_reply(stream.request_id, Unauthorized(_WATCH_ENDED)))
        return None if math.isinf(next_s) else min(next_s, _LONGEST_WAIT_S)

    def _watches(self) -> list[RecordStream | OverviewStream]:
        return [each for each in self._writer.unfinished() if isinstance(each, RecordStream | OverviewStream)]

    def _alive(self) -> None:
        """The peer took what we sent, so it lives, however late its pong is."""
        self._ws.pong_received = True

    def _writer_failed(self, error: Exception | None) -> None:
        if isinstance(error, BadRequest):
            self.close(POLICY_VIOLATION, str(error))
        elif error is not None:
            self.close(INTERNAL_ERROR, "internal error")
        self._sock.abort()
        self._ws.event.set()

    # -- frames -------------------------------------------------------------------------------------------------

    def _handle(self, frame: Frame) -> None:
        try:
            match frame.type:
                case "send":
                    self._send(frame)
                case "resume":
                    self._resume(frame)
                case "watch":
                    self._watch(frame)
                case "abort":
                    self._abort(frame)
                case "unwatch":
                    if self._writer.remove(frame.request_id) is not None:
                        self._writer.reply(reply("end", frame.request_id))
                case "stop":
                    self._stop(frame)
                case "steer":
                    self._steer(frame)
                case "action":
                    self._action(frame)
                case "queue" | "edit" | "cancel":
                    self._queue(frame)
                case "ack":
                    self._ack(frame)
                case "ping":
                    self._writer.reply(reply("pong", frame.request_id))
                case "auth":
                    self._renew(self.gateway.access.of_token(str(frame.fields.get("token", ""))))
                    self._writer.reply(reply("ok", frame.request_id))
        except ChatAgentError as error:
            self._writer.reply(error_reply(frame.request_id, error))

    def _renew(self, identity: Identity) -> None:
        """Go on as `identity`. What it may not see is watched for as long as the token before it lasts."""
        for stream in self._watches():
            if stream.watcher is None:
                stream.watcher = None if stream.open_to(identity) else self.identity
        self.identity = identity

    def _identity(self, frame: Frame) -> Identity:
        """Who sends this frame. Raises: Unauthorized."""
        if frame.token is not None:
            identity = self.gateway.access.of_token(frame.token)
            self.identity = self.identity or identity
            return identity
        if self.identity is None:
            raise Unauthorized("a token is needed: ?token=, a subprotocol or an auth frame")
        if self.identity.expired:
            raise Unauthorized("the token has expired; send an auth frame with a new one")
        return self.identity

    def _send(self, frame: Frame) -> None:
        identity = self._identity(frame)
        self._check_free(frame)
        send, window = read_send(frame.fields, extra=frame.body), frame.number("window", least=1)
        session = self.gateway.open(identity, send.chat_id, send.agent)
        feed = self.gateway.send(session, send, self._writer.wake)
        self._writer.add(AnswerStream(frame.request_id, session.chat_id, feed, window=window))

    def _resume(self, frame: Frame) -> None:
        identity = self._identity(frame)
        self._check_free(frame)
        window = frame.number("window", least=1)
        session = self.gateway.backend.sessions.find(frame.chat_id)
        feed = None
        if session is not None:
            require(identity, "read", session)
            feed = self.gateway.resume(session, self._writer.wake)
        if session is None or feed is None:
            self._writer.reply(reply("no-active", frame.request_id))
            return
        stream = AnswerStream(frame.request_id, session.chat_id, feed, resumed=True, window=window)
        stream.on_end = lambda: self.gateway.left(stream.session_id, resumed=True, ended=True)
        self._writer.add(stream)

    def _watch(self, frame: Frame) -> None:
        identity = self._identity(frame)
        self._check_free(frame)
        watcher = None if identity is self.identity else identity
        if not frame.chat_id:
            listing = read_listing(frame.fields, identity)
            overview = Overview(self.gateway.backend, listing, self._writer.wake)
            open_to = partial(shows, listing, frame.fields)
            self._writer.add(OverviewStream(frame.request_id, overview, open_to=open_to, watcher=watcher))
            return
        cursor, window = frame.number("cursor", least=-1), frame.number("window", least=1)
        session = self.gateway.get(identity, frame.chat_id)
        feed = Feed(self.gateway.backend, session.id, self._writer.wake)
        start = session.complete_seq if cursor is None else cursor
        feed.place(start, caught_up=False)
        stream = RecordStream(
            frame.request_id,
            session.chat_id,
            feed,
            start,
            read_queue=lambda: chat_queue.list_queue(self.gateway, session.id),
            open_to=lambda reader: reader.may("read", session),
            window=window,
            watcher=watcher,
        )
        self._writer.add(stream)

    def _abort(self, frame: Frame) -> None:
        """The user's stop, unless the client only gives up reading: the answer failed, or nothing of it was sent yet.

        It is for the answer to this request alone: a message that waits behind another answer is taken out.
        """
        stream = self._writer.remove(frame.request_id)
        if not isinstance(stream, AnswerStream) or stream.failed or (stream.resumed and stream.sequence == 0):
            return
        session = self.gateway.backend.sessions.find(stream.chat_id)
        if session is not None and self._identity(frame).may("write", session):
            self.gateway.stop(session, stream.answered)

    def _stop(self, frame: Frame) -> None:
        session = self.gateway.backend.sessions.get(frame.chat_id)
        require(self._identity(frame), "write", session)
        self._writer.reply(reply("ok", frame.request_id, stopped=self.gateway.stop_named(session, frame.fields)))

    def _steer(self, frame: Frame) -> None:
        """A message into the answer that is being written; a `watch`, or that answer's request, shows what comes."""
        identity = self._identity(frame)
        send = replace(read_send(frame.fields, extra=frame.body), busy="steer")
        session = self.gateway.open(identity, send.chat_id, send.agent)
        self._writer.reply(reply("ok", frame.request_id, seq=self.gateway.push(session, send).seq))

    def _action(self, frame: Frame) -> None:
        identity = self._identity(frame)
        self._check_free(frame)
        send, window = read_action(frame.fields), frame.number("window", least=1)
        session = self.gateway.backend.sessions.get(send.chat_id)
        require(identity, "write", session)
        feed = self.gateway.send(session, send, self._writer.wake)
        self._writer.add(AnswerStream(frame.request_id, session.chat_id, feed, window=window))

    def _queue(self, frame: Frame) -> None:
        """What waits: list it, edit one, cancel one."""
        identity, fields = self._identity(frame), frame.fields
        name = fields.get("messageId", fields.get("seq"))
        if frame.type == "queue":
            session = self.gateway.get(identity, frame.chat_id)
            queue = chat_queue.list_queue(self.gateway, session.id)
            self._writer.reply(reply("queue", frame.request_id, id=session.chat_id, queue=queue))
            return
        if frame.type == "edit":
            record = chat_queue.edit(self.gateway, identity, frame.chat_id, name, fields)
        else:
            record = chat_queue.cancel(self.gateway, identity, frame.chat_id, name)
        self._writer.reply(reply("ok", frame.request_id, **chat_queue.entry_json(record)))

    def _ack(self, frame: Frame) -> None:
        stream, number = self._writer.get(frame.request_id), frame.number("sequence", least=0)
        if stream is not None and number is not None:
            stream.ack(number)
            self._writer.wake.set()

    def _check_free(self, frame: Frame) -> None:
        if self._writer.get(frame.request_id) is not None:
            raise BadRequest("is in use by another request of this socket", field="requestId")
        if len(self._writer) >= self.gateway.options.max_requests:
            raise BadRequest("too many chats on one socket; open another or end some")
