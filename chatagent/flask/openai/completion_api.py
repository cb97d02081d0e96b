"""`POST /v1/chat/completions`: each request a chat of its own, unless it names one.

A chat that is named keeps its own history: only the client's last message is read. A new chat starts with the
messages before it. Whoever leaves an unnamed chat stops its answer, for nobody could come back for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from flask import Blueprint, Response, request

from chatagent.errors import BadRequest, ChatAgentError
from chatagent.flask.answer import EVENT_STREAM, json_response
from chatagent.flask.feed import AnswerFeed
from chatagent.flask.gateway import Gateway
from chatagent.flask.message import read_flag, read_id, read_json
from chatagent.flask.openai import session as chats
from chatagent.flask.openai.completion import Completion
from chatagent.flask.openai.error import AnswerFailed, error_body
from chatagent.flask.openai.follow import Pace, follow
from chatagent.flask.openai.message import Said, UIMessage, read_messages
from chatagent.flask.token import Identity
from chatagent.redis.session import Session

#: Names the chat of a request; `metadata.chat_id` does too.
CHAT_HEADER = "X-Chat-Id"


@dataclass(frozen=True, slots=True)
class Target:
    """The chat that answers, and the message that is put into it. `named`: the client can come back to it."""

    session: Session
    message: UIMessage
    named: bool


def register(blueprint: Blueprint, gateway: Gateway) -> None:
    """Add the route."""

    @blueprint.post("/v1/chat/completions")
    def chat_completions() -> Response:
        identity = gateway.access.identify(request)
        body = read_json(request.get_data(cache=False))
        _require_possible(body)
        streams, usage = read_flag(body, "stream"), _wants_usage(body)
        said = read_messages(body.get("messages"), "messages")
        target = find_target(gateway, identity, body, said)
        send = chats.read_send(target.session, target.message, body, [said.instructions])
        wake = threading.Event()
        feed = gateway.send(target.session, send, wake)
        name = target.session.chat_id if not target.named else f"chatcmpl-{target.session.id}-{feed.answer.seq}"
        completion = Completion(name, target.session.agent, target.session.id, int(time.time()))
        headers = {CHAT_HEADER: target.session.chat_id} if target.session.chat_id.isascii() else {}
        if not streams:
            return json_response(_whole(completion, feed, wake), headers=headers)
        told = _stream(gateway, completion, feed, wake, usage=usage, target=target)
        response = Response(told, headers={**EVENT_STREAM, **headers})
        # A stream that nobody iterates must let go of its channel too.
        response.call_on_close(feed.close)
        return response


def _require_possible(body: Mapping[str, Any]) -> None:
    """Raises: BadRequest for what changes the form of the answer, and no agent can give."""
    if body.get("n") not in (None, 1):
        raise BadRequest("must be 1: a chat has one answer", field="n")
    if body.get("logprobs"):
        raise BadRequest("are not told", field="logprobs")
    if body.get("modalities") not in (None, [], ["text"]):
        raise BadRequest("must be text alone", field="modalities")


def _wants_usage(body: Mapping[str, Any]) -> bool:
    options = body.get("stream_options")
    if not isinstance(options, dict | None):
        raise BadRequest("must be an object", field="stream_options")
    return read_flag(options or {}, "include_usage")


def find_target(gateway: Gateway, identity: Identity, body: Mapping[str, Any], said: Said) -> Target:
    """The chat that is named, or that waits for these tool outputs, or a new one with the client's past."""
    name, model = _chat_id(body), body.get("model")
    read_id(model, "model")
    known = chats.find(gateway, identity, name, model) if name is not None else None
    if known is None and name is None and said.answers:
        known = chats.waits_for(gateway, identity, said)
    if known is None:
        return _new_target(gateway, identity, name, model, said)
    if not said.answers:
        return Target(known, last_of_user(said, chats.once(request, identity)), name is not None)
    found = chats.answer_message(gateway, known, said)
    if found is None:
        raise BadRequest("no call with this id waits in this chat", field="messages")
    return Target(known, found[0], name is not None)


def _new_target(gateway: Gateway, identity: Identity, name: str | None, model: Any, said: Said) -> Target:
    token = chats.once(request, identity)
    chat_id = name if name is not None else f"chatcmpl-{token}"
    past = said.messages[:-1]
    if not said.answers:
        message = last_of_user(said, token)
        return Target(chats.create(gateway, identity, chat_id, model, past), message, name is not None)
    if not said.answers_itself:
        raise BadRequest("a tool message must follow the assistant's message with its call", field="messages")
    answered = {"id": f"msg_{token}", **said.messages[-1]}
    session = chats.create(gateway, identity, chat_id, model, [*past, chats.unanswered(answered)])
    return Target(session, answered, name is not None)


def last_of_user(said: Said, token: str) -> UIMessage:
    """The client's new message. Raises: BadRequest."""
    if not said.messages or said.messages[-1]["role"] != "user":
        raise BadRequest("the last message must be from the user, or answer a tool call", field="messages")
    return {"id": f"msg_{token}", **said.messages[-1]}


def _chat_id(body: Mapping[str, Any]) -> str | None:
    metadata = body.get("metadata")
    named = metadata.get("chat_id") if isinstance(metadata, dict) else None
    named = named if named is not None else request.headers.get(CHAT_HEADER)
    return None if named is None else read_id(named, "metadata.chat_id")


def _whole(completion: Completion, feed: AnswerFeed, wake: threading.Event) -> dict[str, Any]:
    for chunks in follow(feed, wake, keepalive_s=60):
        for chunk in chunks:
            completion.output.take(chunk)
    if completion.output.error is not None:
        raise AnswerFailed(completion.output.error)
    return completion.whole(feed.answer.headers.get("usage") or {})


def _stream(
    gateway: Gateway, completion: Completion, feed: AnswerFeed, wake: threading.Event, *, usage: bool, target: Target
) -> Iterator[bytes]:
    ended, pace = False, Pace(gateway.options.keepalive_s)
    try:
        yield _event(completion.piece({"role": "assistant", "content": ""}))
        for chunks in follow(feed, wake, gateway.options.keepalive_s):
            told = pace.fill(b"".join(_event(piece) for chunk in chunks for piece in completion.pieces(chunk)))
            if told:
                yield told
        ended = True
        if completion.output.error is not None:
            raise AnswerFailed(completion.output.error)
        used = feed.answer.headers.get("usage") or {}
        yield b"".join(map(_event, completion.last_pieces(used if usage else None)))
        yield b"data: [DONE]\n\n"
    except ChatAgentError as error:
        ended = True
        yield _event(error_body(error))
    finally:
        feed.close()
        if not ended and not target.named:
            gateway.stop(gateway.backend.sessions.get(target.session.id), feed.answer.seq)


def _event(body: Mapping[str, Any]) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(body)
