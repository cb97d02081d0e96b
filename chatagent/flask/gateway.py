"""What every door does: open a chat, send to it, resume its answer, stop it. The doors read and write frames."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from chatagent.errors import BadRequest, NotFound, Retryable, StoreDown
from chatagent.flask import again
from chatagent.flask.access import Access, require, require_own, require_start
from chatagent.flask.departure import Departure
from chatagent.flask.feed import AnswerFeed, Feed
from chatagent.flask.message import Send, new_chat_id, optional_id
from chatagent.flask.options import Options
from chatagent.flask.token import Identity
from chatagent.record import InRecord, chunk_type
from chatagent.redis.directory import AgentCard
from chatagent.redis.gateway import GatewayRedis
from chatagent.redis.history import Snapshot
from chatagent.redis.inbox import Pushed
from chatagent.redis.session import Session
from chatagent.relay import Answer
from chatagent.runtime.conversation import apply, view
from chatagent.ui import decode, encode, message_to_chunks

logger = logging.getLogger(__name__)

#: Records of an inbox are counted exactly up to here.
MAX_SEQ = 2**53
#: How an answer may end.
_ENDS = ("finish", "abort", "error")
#: Wakes a worker: called with agent id, session id and queue. May raise; the sweeper then does its work.
Dispatch = Callable[[str, str, str], object]


@dataclass(frozen=True, slots=True)
class Gateway:
    """The parts that doors share."""

    backend: GatewayRedis
    dispatch: Dispatch
    access: Access
    options: Options
    departure: Departure = field(default_factory=Departure)

    def agent(self, name: str | None) -> AgentCard:
        """The agent by this name, else the default one. Raises: NotFound, Retryable when none was announced yet."""
        name = name or self.options.default_agent
        card = self.backend.directory.agent(name) if name is not None else None
        if card is not None:
            return card
        agents = self.backend.directory.agents()
        if not agents:
            raise Retryable("no worker has announced an agent yet; start one and try again", after_s=2)
        if name is not None:
            raise NotFound(f"there is no agent {name!r}; there are: {', '.join(card.id for card in agents)}")
        if len(agents) > 1:
            raise NotFound(f"name an agent of this chat: {', '.join(card.id for card in agents)}")
        return agents[0]

    def open(self, identity: Identity, chat_id: str, agent: str | None) -> Session:
        """The chat, made if need be. Raises: NotFound, Forbidden, Closed."""
        session = self.backend.sessions.find(chat_id)
        if session is None:
            chat_id = new_chat_id(chat_id, "id")
            card = self._startable(identity, chat_id, agent)
            require_own(identity, "write", chat_id)
            session, _ = self.backend.sessions.create(chat_id, card.id, queue=card.queue, user=identity.user)
        require(identity, "write", session)
        return session

    def _startable(self, identity: Identity, chat_id: str, agent: str | None) -> AgentCard:
        name = agent or self.options.default_agent
        if name is not None:
            require_start(identity, chat_id, name)
        card = self.agent(agent)
        require_start(identity, chat_id, card.id)
        return card

    def get(self, identity: Identity, chat_id: str) -> Session:
        """A chat that this identity may read. Raises: NotFound, Forbidden."""
        session = self.backend.sessions.get(chat_id)
        require(identity, "read", session)
        return session

    def send(self, session: Session, send: Send, wake: threading.Event) -> AnswerFeed:
        """Put a message into a chat and follow its answer. Raises: Closed, Retryable, StoreDown.

        The feed listens before the message is written, so the answer's first chunk cannot be missed. A message that
        was sent before starts no second turn, but is answered with the same one; after a failed turn it is tried again.
        """
        send = again.read(send, session, lambda: self.backend.history.read(session.id))
        feed = Feed(self.backend, session.id, wake)
        try:
            pushed = self.push(session, send)
            while pushed.duplicate:
                snapshot = self.backend.history.read(session.id)
                if not _reworded(snapshot, send):
                    last = self.backend.outbox.last_turn(snapshot.session)
                    if last.get("in", -1) > pushed.seq:
                        return _told(feed, pushed, stored_answer(snapshot.messages, send.message_id))
                    if last.get("in") != pushed.seq or last.get("outcome") != "failed":
                        break
                send = replace(send, part_id=f"{send.part_id}:{snapshot.session.turn}")
                pushed = self.push(session, send)
            feed.place(pushed.out_cursor, caught_up=not pushed.duplicate)
        except BaseException:
            feed.close()
            raise
        return AnswerFeed(feed, Answer(pushed.seq, pushed.out_cursor))

    def push(self, session: Session, send: Send) -> Pushed:
        """Put a message into a chat and wake a worker. Raises: Closed, Retryable, StoreDown."""
        pushed = self.backend.inbox.push(
            session.id, send.kind, send.payload, part_id=send.part_id, busy=send.busy, session=session
        )
        self._wake_worker(session, pushed)
        return pushed

    def _wake_worker(self, session: Session, pushed: Pushed) -> None:
        if not pushed.enqueue:
            return
        try:
            self.dispatch(pushed.agent, session.id, pushed.queue)
        except Exception:
            # The message is in the inbox: the sweeper will find that its task never came.
            logger.exception("task not sent; the sweeper will send it", extra={"session": session.id})

    def resume(self, session: Session, wake: threading.Event) -> AnswerFeed | None:
        """Follow the answer that is being written, from its start; None when there is none. Raises: StoreDown.

        Who was cut off from an answer that has ended meanwhile is told it whole.
        """
        if session.status == "idle":
            return self._ended(session, wake) if self.backend.outbox.was_cut(session.id) else None
        feed = Feed(self.backend, session.id, wake)
        try:
            snapshot = self.backend.history.read(session.id)
            now, record = snapshot.session, _answered(snapshot)
            if now.status != "idle" and record is not None:
                feed.place(now.complete_seq, caught_up=False)
                return AnswerFeed(feed, Answer(record.seq, now.complete_seq), _before_turn(snapshot.messages, record))
        except BaseException:
            feed.close()
            raise
        feed.close()
        # It ended between the two looks, or a run is made ready that nobody has sent a message yet.
        return self.resume(now, wake) if now.status == "idle" else None

    def _ended(self, session: Session, wake: threading.Event) -> AnswerFeed | None:
        """The last answer, from the history, with the end that it had."""
        messages = self.backend.history.read(session.id).messages
        if not messages or messages[-1]["role"] != "assistant":
            return None
        records = self.backend.outbox.read(session.id, session.complete_seq - 2, limit=1)
        ends = [record.raw for record in records if record.control is None and chunk_type(record.raw) in _ENDS]
        chunks = [encode(chunk) for chunk in message_to_chunks(messages[-1])]
        answer = Answer(session.in_cursor, session.complete_seq)
        answer.done = True
        chunks += ends or [encode({"type": "finish"})]
        return AnswerFeed(Feed(self.backend, session.id, wake), answer, chunks)

    def left(self, session_id: str, *, resumed: bool, ended: bool) -> None:
        """A reader has left: cut off before its answer had ended, or after it was told the rest of it."""
        outbox = self.backend.outbox
        try:
            if not ended:
                outbox.note_cut(session_id)
            elif resumed:
                outbox.forget_cut(session_id)
        except StoreDown:
            logger.warning("reader that left not noted, Redis is away")

    def stop(self, session: Session, seq: int | None = None, *, part_id: str | None = None) -> bool:
        """Stop the answer to inbox record `seq`, else the one that is being written; False when there is none.

        A message that waits behind another is taken out. A stop that comes late, or a second time, stops nothing: the
        turn that it names is over. Raises: Closed, StoreDown.
        """
        if session.status == "idle":
            return False
        inbox = self.backend.inbox
        for _ in range(2):  # its turn may begin between the two looks
            with suppress(NotFound):
                inbox.push(session.id, "stop", {}, stops=seq, part_id=part_id)
                return True
            if seq is None:
                return False
            with suppress(NotFound):
                inbox.cancel(session.id, seq, session=session)
                return True
        return False

    def stop_named(self, session: Session, fields: Mapping[str, Any], *, part_id: str | None = None) -> bool:
        """The same, as clients ask for it: `messageId` is the message that is answered or its answer, `seq` its record.

        Raises: BadRequest.
        """
        seq, name = fields.get("seq"), optional_id(fields, "messageId")
        if seq is not None and (not isinstance(seq, int) or isinstance(seq, bool) or not 0 <= seq <= MAX_SEQ):
            raise BadRequest("must be the number of a message in the inbox", field="seq")
        if seq is None and name is not None:
            seq = self._asked_by(session, name)
            if seq is None:
                return False
        return self.stop(session, seq, part_id=part_id)

    def _asked_by(self, session: Session, name: str) -> int | None:
        """The unread record that brings a message, or whose turn answers it or writes it."""
        snapshot = self.backend.history.read(session.id)
        unread = [record for record in snapshot.unread if record.kind not in ("stop", "preload")]
        for record in unread:
            if (record.payload.get("message") or {}).get("id") == name:
                return record.seq
        if not unread:
            return None
        told = self.backend.outbox.read(session.id, snapshot.session.complete_seq)
        starts = [decode(each.raw) for each in told if each.control is None and chunk_type(each.raw) == "start"]
        answered = apply(snapshot.messages, unread[0]).messages[-1:]
        names = [each.get("id") for each in answered] + [each.get("messageId") for each in starts]
        return unread[0].seq if name in names else None


def stored_answer(messages: Sequence[dict[str, Any]], message_id: str | None) -> list[bytes]:
    """What was answered to a message, told again; of a message that was itself gone on with, just its ends."""
    at = next((at for at, message in enumerate(messages) if message.get("id") == message_id), len(messages))
    if at < len(messages) and messages[at]["role"] == "assistant":
        told: list[dict[str, Any]] = [{"type": "start", "messageId": message_id}]
    elif at + 1 < len(messages) and messages[at + 1]["role"] == "assistant":
        told = message_to_chunks(messages[at + 1])
    else:
        return []
    return [encode(chunk) for chunk in (*told, {"type": "finish"})]


def _told(feed: Feed, pushed: Pushed, chunks: list[bytes]) -> AnswerFeed:
    """An answer that has ended long ago."""
    answer = Answer(pushed.seq, pushed.out_cursor)
    answer.done = True
    return AnswerFeed(feed, answer, chunks)


def _answered(snapshot: Snapshot) -> InRecord | None:
    """What is being answered, or will be next; a preload has no answer."""
    return next((record for record in snapshot.unread if record.kind not in ("stop", "preload")), None)


def _before_turn(messages: list[dict[str, Any]], record: InRecord) -> list[bytes]:
    """What the message that the turn goes on with held before it: clients rebuild it from nothing on a resume."""
    response = apply(messages, record).response
    return [encode(chunk) for chunk in message_to_chunks(response)] if response is not None else []


def _reworded(snapshot: Snapshot, send: Send) -> bool:
    """Whether an edit says again what its message said once, and meanwhile says no longer: that is no repetition."""
    if send.payload.get("messageId") is None or send.message_id != send.payload["messageId"]:
        return False
    found = (each for each in view(snapshot.messages, snapshot.unread) if each.get("id") == send.message_id)
    now = next(found, None)
    return now is not None and now["role"] == "user" and now["parts"] != send.payload["message"]["parts"]
