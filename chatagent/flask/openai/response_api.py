"""`/v1/responses`: every response is an answer in a chat that lives on; a dropped connection stops nothing.

Source: OpenAI API reference, "Responses". `previous_response_id` and `conversation` name the chat.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from flask import Blueprint, Response, request

from chatagent.errors import BadRequest, ChatAgentError, NotFound
from chatagent.flask.access import require
from chatagent.flask.answer import EVENT_STREAM, json_response
from chatagent.flask.feed import AnswerFeed, Feed
from chatagent.flask.gateway import Gateway
from chatagent.flask.message import read_flag, read_id, read_json
from chatagent.flask.openai import session as chats
from chatagent.flask.openai.completion_api import last_of_user
from chatagent.flask.openai.error import error_body
from chatagent.flask.openai.follow import Pace, follow
from chatagent.flask.openai.message import Said, UIMessage, read_messages
from chatagent.flask.openai.response import Answer
from chatagent.flask.openai.response_id import Place, read_response_id
from chatagent.flask.openai.stored import find_message, previous_messages, told_answer
from chatagent.flask.token import Identity
from chatagent.redis.session import Session
from chatagent.relay import Answer as Pick

#: Seconds that a cancel waits for the answer to end.
_CANCEL_S = 10.0


@dataclass(frozen=True, slots=True)
class Target:
    """The chat that answers, and the message for it, which goes on with one of `parts` parts (-1: with none)."""

    session: Session
    message: UIMessage
    parts: int = -1


def register(blueprint: Blueprint, gateway: Gateway) -> None:
    """Add the routes."""
    api = ResponseApi(gateway)
    blueprint.add_url_rule("/v1/responses", "response_create", api.create, methods=["POST"])
    blueprint.add_url_rule("/v1/responses/<name>", "response_retrieve", api.retrieve, methods=["GET"])
    blueprint.add_url_rule("/v1/responses/<name>/cancel", "response_cancel", api.cancel, methods=["POST"])


class ResponseApi:
    """The routes."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def create(self) -> Response:
        """Ask the agent; the answer whole, as events, or later (`background`)."""
        identity = self.gateway.access.identify(request)
        body = read_json(request.get_data(cache=False))
        streams, later = read_flag(body, "stream"), read_flag(body, "background")
        said = read_messages(body.get("input"), "input")
        target = self._target(identity, body, said)
        instructions = [_instructions(body), said.instructions]
        send = chats.read_send(target.session, target.message, body, instructions)
        previous = body.get("previous_response_id")
        if later and not streams:
            pushed = self.gateway.push(target.session, send)
            return json_response(self._answer(target, pushed.seq, previous).whole("queued"))
        wake = threading.Event()
        feed = self.gateway.send(target.session, send, wake)
        answer = self._answer(target, feed.answer.seq, previous)
        if streams:
            return _event_stream(_stream(answer, feed, wake, self.gateway.options.keepalive_s), feed.close)
        return json_response(_whole(answer, feed, wake))

    def retrieve(self, name: str) -> Response:
        """A response as it stands; `stream=true` follows it from its start, or after `starting_after`."""
        identity = self.gateway.access.identify(request)
        place = read_response_id(name)
        session = self.gateway.get(identity, place.session_id)
        streams, after = _asked_stream(request.args)
        if not streams:
            return json_response(self._stored(session, place))
        wake = threading.Event()
        feed = Feed(self.gateway.backend, session.id, wake)
        feed.place(-1, caught_up=False)
        answer = Answer(place, session.agent, session.chat_id)
        told = _stream(
            answer,
            AnswerFeed(feed, Pick(place.seq, -1)),
            wake,
            self.gateway.options.keepalive_s,
            after=after,
            stored=lambda: self._stored(session, place),
        )
        return _event_stream(told, feed.close)

    def cancel(self, name: str) -> Response:
        """Stop the answer that is being written and give what there is of it; one that waits is taken out."""
        identity = self.gateway.access.identify(request)
        place = read_response_id(name)
        session = self.gateway.backend.sessions.get(place.session_id)
        require(identity, "write", session)
        if place.seq > session.in_cursor and not self._taken_out(session, place):
            unread = self.gateway.backend.history.read(session.id).unread
            if place.seq == next((record.seq for record in unread if record.kind != "stop"), None):
                self._stop(session, place)
        return json_response(self._stored(session, place))

    def _taken_out(self, session: Session, place: Place) -> bool:
        """Take the message out while it waits; False when it is being answered, or was."""
        try:
            self.gateway.backend.inbox.cancel(session.id, place.seq, session=session)
        except NotFound:
            return False
        return True

    def _stop(self, session: Session, place: Place) -> None:
        """Stop it and wait until it has ended, but not for ever: a worker may be dead."""
        wake = threading.Event()
        feed = Feed(self.gateway.backend, session.id, wake)
        feed.place(session.complete_seq, caught_up=False)
        answer = AnswerFeed(feed, Pick(place.seq, session.complete_seq))
        self.gateway.stop(session, place.seq)
        ends = time.monotonic() + _CANCEL_S
        for _ in follow(answer, wake, keepalive_s=1.0):
            if time.monotonic() > ends:
                break
        answer.close()

    def _target(self, identity: Identity, body: Mapping[str, Any], said: Said) -> Target:
        """The chat that the request names, or a new one; the message that it adds."""
        model = body.get("model")
        named = _conversation(body)
        previous = body.get("previous_response_id")
        if named is not None and previous is not None:
            raise BadRequest("name either a conversation or a previous response", field="previous_response_id")
        token = chats.once(request, identity)
        if previous is not None:
            return self._after(identity, read_response_id(read_id(previous, "previous_response_id")), said, body, token)
        known = chats.find(self.gateway, identity, named, model) if named is not None else None
        if known is None and said.answers and named is None:
            known = chats.waits_for(self.gateway, identity, said)
        if known is not None:
            return self._in(known, said, token)
        return self._new(identity, named or f"conv_{token}", model, said, token)

    def _after(self, identity: Identity, place: Place, said: Said, body: Mapping[str, Any], token: str) -> Target:
        """After an earlier response: at the end of its chat, or, when the chat went on, in a new one with its past."""
        session = chats.find(self.gateway, identity, place.session_id, body.get("model"))
        if session is None:
            raise NotFound("there is no such previous response")
        snapshot = self.gateway.backend.history.read(session.id)
        later = any(record.seq > place.seq and record.kind == "message" for record in snapshot.unread)
        past = previous_messages(snapshot.messages, place)
        message = {"id": f"msg_{token}"}
        sent = snapshot.messages[-1].get("id") == message["id"] or later
        if past is None or len(past) == len(snapshot.messages) or said.answers or sent:
            return self._in(session, said, token)
        return self._new(identity, f"conv_{token}", session.agent, said, token, past)

    def _in(self, session: Session, said: Said, token: str) -> Target:
        if not said.answers:
            return Target(session, last_of_user(said, token))
        found = chats.answer_message(self.gateway, session, said)
        if found is None:
            raise BadRequest("no call with this id waits in this chat", field="input")
        return Target(session, *found)

    def _new(
        self,
        identity: Identity,
        chat_id: str,
        model: Any,
        said: Said,
        token: str,
        past: Sequence[UIMessage] = (),
    ) -> Target:
        if said.answers and not said.answers_itself:
            raise BadRequest("no call with this id waits in a chat", field="input")
        before = [*past, *said.messages[:-1]]
        if not said.answers:
            message = last_of_user(said, token)
            return Target(chats.create(self.gateway, identity, chat_id, model, before), message)
        answered = {"id": f"msg_{token}", **said.messages[-1]}
        session = chats.create(self.gateway, identity, chat_id, model, [*before, chats.unanswered(answered)])
        return Target(session, answered, len(answered["parts"]))

    def _answer(self, target: Target, seq: int, previous: str | None) -> Answer:
        session = target.session
        place = Place(session.id, seq, target.parts, str(target.message["id"]), int(time.time()))
        return Answer(place, session.agent, session.chat_id, previous=previous)

    def _stored(self, session: Session, place: Place) -> dict[str, Any]:
        """A response from the history."""
        snapshot = self.gateway.backend.history.read(session.id)
        answer = Answer(place, session.agent, session.chat_id)
        unread = [record.seq for record in snapshot.unread]
        if place.seq not in unread and find_message(snapshot.messages, place.message_id) is None:
            return answer.whole("cancelled")
        if place.seq > snapshot.session.in_cursor:
            first = next((record.seq for record in snapshot.unread if record.kind != "stop"), None)
            running = first == place.seq and snapshot.session.status == "running"
            return answer.whole("in_progress" if running else "queued")
        for chunk in told_answer(snapshot.messages, place):
            answer.output.take(chunk)
        last = self.gateway.backend.outbox.last_turn(snapshot.session)
        if last.get("in") != place.seq:
            last = {}
        answer.output.stopped = last.get("outcome") == "stopped"
        if last.get("outcome") == "failed":
            answer.output.error = "the agent failed"
        return answer.whole(answer.status(), last.get("usage") or {})


def _instructions(body: Mapping[str, Any]) -> str:
    value = body.get("instructions")
    if not isinstance(value, str | None):
        raise BadRequest("must be a string", field="instructions")
    return value or ""


def _asked_stream(args: Mapping[str, str]) -> tuple[bool, int]:
    """Whether the response is to be followed, and after which event. Raises: BadRequest."""
    if args.get("stream", "false") not in ("true", "false"):
        raise BadRequest("must be true or false", field="stream")
    after = args.get("starting_after", "-1")
    if re.fullmatch(r"-1|\d{1,9}", after, re.ASCII) is None:
        raise BadRequest("must be a number", field="starting_after")
    return args.get("stream") == "true", int(after)


def _conversation(body: Mapping[str, Any]) -> str | None:
    value = body.get("conversation")
    if isinstance(value, dict):
        value = value.get("id")
    return None if value is None else read_id(value, "conversation")


def _whole(answer: Answer, feed: AnswerFeed, wake: threading.Event) -> dict[str, Any]:
    for chunks in follow(feed, wake, keepalive_s=60):
        for chunk in chunks:
            answer.output.take(chunk)
    return answer.whole(answer.status(), feed.answer.headers.get("usage") or {})


def _stream(
    answer: Answer,
    feed: AnswerFeed,
    wake: threading.Event,
    keepalive_s: float,
    *,
    after: int = -1,
    stored: Callable[[], dict[str, Any]] | None = None,
) -> Iterator[bytes]:
    """The events with a number over `after`. Of an answer that has left the log, its end alone, from `stored`."""

    def encode(events: Iterable[dict[str, Any]]) -> bytes:
        return b"".join(_event(event) for event in events if event["sequence_number"] > after)

    pace = Pace(keepalive_s)
    try:
        yield encode(answer.first_events()) or b": stream-open\n\n"
        for chunks in follow(feed, wake, keepalive_s):
            told = pace.fill(b"".join(encode(answer.events(chunk)) for chunk in chunks))
            if told:
                yield told
        yield encode(answer.last_events(feed.answer.headers.get("usage") or {}))
    except ChatAgentError as error:
        if feed.answer.trimmed and stored is not None:
            yield encode([answer.stored_event(stored(), after + 1)])
        else:
            yield encode([{"type": "error", "sequence_number": after + 1, **error_body(error)["error"]}])


def _event_stream(told: Iterator[bytes], on_close: Callable[[], None]) -> Response:
    response = Response(told, headers=EVENT_STREAM)
    # A stream that nobody iterates must let go of its channel too.
    response.call_on_close(on_close)
    return response


def _event(event: Mapping[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), orjson.dumps(event))
