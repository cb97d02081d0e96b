"""One subscriber of an outbox over S2's framing: from its cursor on, over all turns, until it may read no longer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from chatagent.errors import ChatAgentError, StoreDown
from chatagent.flask.access import require_follow
from chatagent.flask.departure import Departure
from chatagent.flask.feed import RETRY_S, SLICE_BYTES, Feed
from chatagent.flask.gateway import Gateway
from chatagent.flask.sessions import s2
from chatagent.flask.token import Action, Identity
from chatagent.redis.head_start import Step
from chatagent.redis.session import Session
from chatagent.redis.subscriber import Waker
from chatagent.relay import Batch

#: Most seconds between signs of life on a quiet stream: clients give a silent one up after 60.
MAX_HEARTBEAT_S = 20.0
_ACTIONS: tuple[Action, ...] = ("read", "write")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a subscriber asks for."""

    #: Seq of the last record that it has, -1 for all that are kept; None when it has never read.
    cursor: int | None = None
    #: Seconds without a record after which the stream ends.
    timeout_s: int = 60
    #: Only what is new from now on.
    latest: bool = False
    #: End at once when nothing is going on.
    peek: bool = False
    #: Generation of the AI SDK that reads; None: what all of them accept.
    major: Literal[5, 6, 7] | None = None


class OutStream:
    """The stream of one subscriber. `open` comes first, unless the chat does not exist yet."""

    def __init__(self, gateway: Gateway, identity: Identity, chat_id: str, asked: Asked) -> None:
        self.settled = False
        self._gateway = gateway
        self._identity = identity
        self._chat_id = chat_id
        self._asked = asked
        self._wake = threading.Event()
        self._feed: Feed | None = None
        self._encoder = s2.Encoder(asked.major, self._fresh_token)
        self._scopes: list[str] = []
        #: Last record that the client has, and the last that a settled stream shows.
        self._cursor = -1
        self._until = -1

    def open(self, session: Session) -> None:
        """Listen to the chat. Raises: Forbidden, NotFound, StoreDown."""
        require_follow(self._identity, session)
        backend = self._gateway.backend
        self._chat_id = session.chat_id
        allowed = [action for action in _ACTIONS if self._identity.may(action, session)]
        scopes = [f"{action}:sessions:{session.chat_id}" for action in allowed]
        self._scopes = scopes or [f"read:sessions:{session.chat_id}:out"]
        feed = Feed(backend, session.id, self._wake)
        try:
            now = backend.sessions.get(session.id)
            self._cursor = self._start(now)
            if (step := self._own_step(session.id)) is not None:
                self._encoder.hide(step.seq, 1 + step.chunks)
            self._until = now.out_seq
            self.settled = self._asked.peek and now.status == "idle" and now.out_seq >= 0
            if self._cursor not in (-1, now.complete_seq, now.out_seq) or now.status != "idle":
                self._pass_over(session.id)
            feed.place(self._cursor, caught_up=False)
        except BaseException:
            feed.close()
            raise
        self._feed = feed

    def _start(self, now: Session) -> int:
        """The record after which the stream starts.

        Who has never read wants the turn that runs, or the last one, alone: the client would put what it is shown of
        the turn before into the new answer, or take its end for the new one's. A cursor past the end is that of a log
        which lost its end: it says nothing.
        """
        cursor = self._asked.cursor
        if cursor is not None and cursor <= now.out_seq:
            return cursor
        if self._asked.latest or (cursor is not None and self._asked.peek and now.status == "idle"):
            return now.out_seq
        if now.status != "idle":
            return now.complete_seq
        return -1 if cursor is not None or self._asked.peek else self._before_last_turn(now)

    def _before_last_turn(self, now: Session) -> int:
        """The end of the turn before, with which a log begins: a client that counts no turns takes it for its own."""
        first = self._gateway.backend.outbox.read(now.id, -1, limit=1)
        ended = first and first[0].control == "turn-complete" and first[0].seq < now.complete_seq
        return first[0].seq if ended else -1

    def _own_step(self, session_id: str) -> Step | None:
        """The step that the reader has made itself: a server comes without a cursor to go on behind its head start."""
        if not self._identity.admin or self._asked.cursor is not None or self._asked.latest:
            return None
        return self._gateway.backend.head_starts.step(session_id)

    def _pass_over(self, session_id: str) -> None:
        """Show the encoder what the client has of the turn that it is in."""
        last = -1
        while last < self._cursor:
            found = self._gateway.backend.outbox.read(session_id, last)
            seen = [each.raw for each in found if each.seq <= self._cursor]
            if not seen:
                break
            self._encoder.pass_over(Batch(found[0].seq, seen))
            last = found[-1].seq

    def events(self) -> Iterator[bytes]:
        """The stream; a comment comes first, so that headers leave at once."""
        try:
            yield b": stream-open\n\n"
            with self._gateway.departure.heeded(self._wake):
                yield from self._born()
                if self._feed is not None:
                    yield from self._records(self._feed)
            yield s2.DONE
        except ChatAgentError as error:
            yield s2.error_event(str(error))
        finally:
            self.close()

    def close(self) -> None:
        """Listen no more."""
        if self._feed is not None:
            self._feed.close()

    def _born(self) -> Iterator[bytes]:
        """Wait until there is such a chat."""
        if self._feed is not None:
            return
        backend, quiet = self._gateway.backend, self._quiet()
        leave = backend.subscriber.subscribe(backend.keys.feed_channel("chat", self._chat_id), Waker(self._wake))
        try:
            while self._feed is None and not quiet.over:
                self._wake.clear()
                session = backend.sessions.find(self._chat_id)
                if session is not None:
                    self.open(session)
                elif quiet.wait(self._wait, MAX_HEARTBEAT_S):
                    yield s2.ping_event(_now_ms())
        finally:
            leave()

    def _records(self, feed: Feed) -> Iterator[bytes]:
        quiet = self._quiet()
        while not quiet.over:
            self._wake.clear()
            try:
                batch, pause_s = feed.take(max_bytes=SLICE_BYTES), MAX_HEARTBEAT_S
            except StoreDown:
                batch, pause_s = None, RETRY_S
            if batch is not None:
                self._cursor = batch.last
                quiet = self._quiet()
                yield s2.batch_event(self._encode(batch, _now_ms()))
            elif self.settled and self._cursor >= self._until:
                break
            elif quiet.wait(self._wait, pause_s):
                yield self._sign_of_life()

    def _encode(self, batch: Batch, at_ms: int) -> list[dict[str, Any]]:
        return self._encoder.encode(batch, at_ms)

    def _quiet(self) -> _Quiet:
        heartbeat_s = min(MAX_HEARTBEAT_S, 2 * self._gateway.options.keepalive_s)
        return _Quiet(self._asked.timeout_s, heartbeat_s, self._identity, self._gateway.departure)

    def _wait(self, timeout_s: float) -> bool:
        return self._gateway.departure.wait(self._wake, timeout_s)

    def _sign_of_life(self) -> bytes:
        if self._cursor < 0:
            return s2.ping_event(_now_ms())
        return s2.batch_event([s2.heartbeat(self._cursor, _now_ms())])

    def _fresh_token(self) -> str | None:
        """A token for this chat that lives as long as the one shown did; None for who needs none."""
        if self._identity.expires_s is None:
            return None
        most_s = self._gateway.options.token_ttl_s
        ttl_s = min(most_s, self._identity.lifetime_s or most_s)
        return self._gateway.access.tokens.mint(self._scopes, ttl_s=ttl_s, user=self._identity.user)


class _Quiet:
    """How long nothing has come: when to say that the stream lives, and when it is over."""

    def __init__(self, timeout_s: float, heartbeat_s: float, identity: Identity, departure: Departure) -> None:
        self._end_s = time.monotonic() + timeout_s
        self._left_s = identity.left_s
        self._departure = departure
        self._heartbeat_s = heartbeat_s
        self._beat_s = time.monotonic() + heartbeat_s

    @property
    def over(self) -> bool:
        """No record for too long, its token or our process ends: the reader comes back."""
        return self._departure.begun or time.monotonic() >= self._end_s or self._left_s() <= 0

    def wait(self, wait: Callable[[float], bool], most_s: float) -> bool:
        """Wait for news, at most so long; True when there was none and a sign of life is due."""
        now = time.monotonic()
        left_s = min(most_s, self._end_s - now, self._left_s(), self._beat_s - now)
        if wait(max(0.0, left_s)) or time.monotonic() < self._beat_s or self.over:
            return False
        self._beat_s = time.monotonic() + self._heartbeat_s
        return True


def _now_ms() -> int:
    return int(time.time() * 1000)
