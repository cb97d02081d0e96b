"""The AI SDK's HTTP door: what `DefaultChatTransport` of ai 5, 6 and 7 calls.

POST /api/chat, GET /api/chat/<id>/stream, POST /api/chat/<id>/stop. A dropped connection never stops an answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Literal

from flask import Blueprint, Response, request

from chatagent.errors import ChatAgentError
from chatagent.flask.access import require
from chatagent.flask.answer import EVENT_STREAM, json_response
from chatagent.flask.feed import AnswerFeed, follow
from chatagent.flask.gateway import Gateway
from chatagent.flask.message import Send, read_json, read_part, read_send
from chatagent.flask.query import read_major
from chatagent.record import chunk_type
from chatagent.ui import Dialect, decode, encode, replay

#: What the JavaScript server sends with such a stream.
HEADERS = {**EVENT_STREAM, "x-vercel-ai-ui-message-stream": "v1"}
_TRIMMED = {"type": "error", "errorText": "The answer is no longer in the stream; reload the chat."}


def register(blueprint: Blueprint, gateway: Gateway) -> None:
    """Add the door's routes."""

    @blueprint.post("/api/chat")
    def chat() -> Response:
        identity = gateway.access.identify(request)
        body = read_json(request.get_data(cache=False))
        body.setdefault("agent", request.args.get("agent"))
        send = read_send(body)
        dialect = asked_dialect(send)
        session = gateway.open(identity, send.chat_id, send.agent)
        wake = threading.Event()
        return answer_stream(gateway, gateway.send(session, send, wake), wake, dialect)

    @blueprint.get("/api/chat/<path:chat_id>/stream")
    def resume(chat_id: str) -> Response:
        identity = gateway.access.identify(request)
        dialect = asked_dialect()
        session = gateway.backend.sessions.find(chat_id)
        wake = threading.Event()
        feed = None
        if session is not None:
            require(identity, "read", session)
            feed = gateway.resume(session, wake)
        if feed is None:
            return Response(status=204)
        _leave_out_dead_steps(feed, dialect)
        return answer_stream(gateway, feed, wake, dialect, resumed=True)

    @blueprint.post("/api/chat/<path:chat_id>/stop")
    def stop(chat_id: str) -> Response:
        identity = gateway.access.identify(request)
        session = gateway.backend.sessions.get(chat_id)
        require(identity, "write", session)
        asked, part = read_json(request.get_data(cache=False)), read_part(request.headers)
        return json_response({"stopped": gateway.stop_named(session, asked, part_id=part)})


def events(
    feed: AnswerFeed, wake: threading.Event, dialect: Dialect, keepalive_s: float, on_left: Callable[[bool], None]
) -> Iterator[bytes]:
    """The answer as server-sent events; a comment first, so that headers leave at once, and when all is quiet.

    `on_left` is called when the client leaves, with whether it was told the end.
    """
    ended = False
    try:
        yield b": stream-open\n\n"
        try:
            for chunks in follow(feed, wake, keepalive_s):
                yield _encode(chunks, dialect) if chunks else b": keep-alive\n\n"
        except ChatAgentError as error:
            yield _encode([encode({"type": "error", "errorText": str(error)})], dialect)
        if feed.answer.trimmed:
            yield _encode([encode(_TRIMMED)], dialect)
        yield b"data: [DONE]\n\n"
        ended = True
    finally:
        feed.close()
        on_left(ended)


def _encode(chunks: list[bytes], dialect: Dialect) -> bytes:
    return b"".join([b"data: %b\n\n" % raw for chunk in chunks for raw in dialect.encode(chunk)])


def _leave_out_dead_steps(feed: AnswerFeed, dialect: Dialect) -> None:
    """A client from before 7 cannot take back what a crash left behind; who starts from nothing need not see it."""
    if dialect.major == 7:
        return
    try:
        told = feed.told_so_far()
        if any(chunk_type(raw) == "reset-step" for raw in told):
            told = [encode(chunk) for chunk in replay(map(decode, told))]
        feed.tell_first(told)
    except BaseException:
        feed.close()
        raise


def answer_stream(
    gateway: Gateway, feed: AnswerFeed, wake: threading.Event, dialect: Dialect, *, resumed: bool = False
) -> Response:
    """An answer for clients of the AI SDK."""
    session_id = feed.feed.session_id

    def left(ended: bool) -> None:
        gateway.left(session_id, resumed=resumed, ended=ended)

    told = events(feed, wake, dialect, gateway.options.keepalive_s, left)
    response = Response(told, headers=HEADERS)
    # An answer that nobody iterates (a HEAD request, a client that left) must let go of its channel too.
    response.call_on_close(feed.close)
    return response


def asked_major() -> Literal[5, 6, 7] | None:
    """The generation of clients that reads (`?ai=`). Raises: BadRequest."""
    return read_major(request.args.get("ai"), "ai")


def asked_dialect(send: Send | None = None) -> Dialect:
    """How the stream speaks to who reads it; where that is not said, as all clients understand.

    `send` is what the stream answers: it may bring the message that the client goes on with.
    """
    message = None if send is None else send.payload.get("message")
    held = message["parts"] if message is not None and message["role"] == "assistant" else ()
    return Dialect(asked_major(), held=held)
