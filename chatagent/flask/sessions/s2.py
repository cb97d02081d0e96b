"""Records of an outbox in the batch framing of S2, as the published Trigger.dev client reads it. Pure.

Source: trigger.dev's chat client protocol. Every record has a `seq_num`; a client's cursor is the last that it saw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import orjson

from chatagent.record import control_headers, control_kind, is_raw
from chatagent.relay import Batch
from chatagent.ui import Dialect

#: The version of this framing (`X-Stream-Version`).
VERSION = "v2"
#: The last event of a stream that ends by itself.
DONE = b"data: [DONE]\n\n"
#: Name of the header that makes a record a control record.
_CONTROL = "trigger-control"

Headers = list[tuple[str, str]]


def record(seq: int, at_ms: int, body: str = "", headers: Headers | None = None) -> dict[str, Any]:
    """One record; `body` of a data record is JSON text, a control record has headers alone."""
    found: dict[str, Any] = {"seq_num": seq, "timestamp": at_ms, "body": body}
    return {**found, "headers": headers} if headers else found


def command(seq: int, at_ms: int, name: str) -> dict[str, Any]:
    """A record that clients count and do not show: it keeps their numbers without a gap."""
    return record(seq, at_ms, headers=[("", name)])


def is_command(sent: dict[str, Any]) -> bool:
    """Whether a record only counts."""
    return bool(sent.get("headers")) and sent["headers"][0][0] == ""


def heartbeat(seq: int, at_ms: int) -> dict[str, Any]:
    """Says that the stream lives. It repeats the last number, so it moves no cursor; a mere ping would not count."""
    return record(seq, at_ms, headers=[(_CONTROL, "heartbeat")])


def batch_event(records: Iterable[dict[str, Any]]) -> bytes:
    """Records as one event. An event comes whole or not at all, so records of one number stay together."""
    return b"event: batch\ndata: %b\n\n" % orjson.dumps({"records": list(records)})


def ping_event(at_ms: int) -> bytes:
    """Keeps a connection open before there is any record."""
    return b"event: ping\ndata: %b\n\n" % orjson.dumps({"timestamp": at_ms})


def error_event(text: str) -> bytes:
    """Tells a client that it must connect again, and why."""
    return b"event: error\ndata: %b\n\n" % " ".join(text.split()).encode()


def turn_headers(told: dict[str, Any], token: str | None) -> Headers:
    """Headers of a turn-complete record; `token` replaces the one that the client has.

    A client waits for the number of its own message, so messages that get no turn of their own are counted in.
    """
    headers: Headers = [(_CONTROL, "turn-complete"), ("session-in-event-id", str(told.get("settled", told["in"])))]
    return [*headers, ("public-access-token", token)] if token is not None else headers


def closed_headers(told: dict[str, Any]) -> Headers:
    """Headers of a session-closed record."""
    headers: Headers = [(_CONTROL, "session-closed"), ("session-closed", "true")]
    return [*headers, ("session-closed-reason", told["reason"])] if told.get("reason") else headers


class Encoder:
    """Translates one outbox for one client: chunks in its dialect, control records under its names.

    A chunk may become none or several; its number is then taken by a command record, or shared.
    """

    def __init__(self, major: Literal[5, 6, 7] | None, fresh_token: Callable[[], str | None]) -> None:
        self._major = major
        self._fresh_token = fresh_token
        self._dialect = self._new_dialect()
        self._next = -1
        #: Number of a message, and how many chunks of its turn the reader has.
        self._hidden: tuple[int, int] | None = None
        self._begun = False

    def hide(self, answered: int, chunks: int) -> None:
        """Show nothing before the turn that answers a message, and not its first chunks."""
        self._hidden = (answered, chunks)

    def pass_over(self, batch: Batch) -> None:
        """Take note of records that the client has: what they began goes on in the next."""
        self._follow(batch)
        for raw in batch.records:
            self._pass(control_kind(raw), raw)

    def encode(self, batch: Batch, at_ms: int) -> list[dict[str, Any]]:
        """What is sent for a batch."""
        self._follow(batch)
        return [sent for seq, raw in enumerate(batch.records, batch.first) for sent in self._encode(seq, raw, at_ms)]

    def _encode(self, seq: int, raw: bytes, at_ms: int) -> list[dict[str, Any]]:
        kind = control_kind(raw)
        if self._hides(kind, raw):
            self._pass(kind, raw)
            return [command(seq, at_ms, "skip")]
        if kind is None:
            chunks = self._dialect.encode(raw)
            if not chunks:
                return [command(seq, at_ms, "skip")]
            return [record(seq, at_ms, f'{{"data":{chunk.decode()}}}') for chunk in chunks]
        if kind == "turn-complete" or (kind == "message-cancelled" and "settled" in control_headers(raw)):
            return [record(seq, at_ms, headers=turn_headers(control_headers(raw), self._fresh_token()))]
        if kind == "session-closed":
            return [record(seq, at_ms, headers=closed_headers(control_headers(raw)))]
        self._note(raw)
        return [command(seq, at_ms, kind)]

    def _hides(self, kind: str | None, raw: bytes) -> bool:
        if self._hidden is None:
            return False
        answered, left = self._hidden
        if kind in ("turn-start", "turn-complete"):
            told = int(control_headers(raw)["in"])
            if told == answered and kind == "turn-start":
                self._begun = True
            elif told >= answered:
                self._hidden = None
        elif kind is None and self._begun and not is_raw(raw):
            self._hidden = (answered, left - 1) if left > 1 else None
            return True
        return self._hidden is not None

    def _pass(self, kind: str | None, raw: bytes) -> None:
        if kind is None:
            self._dialect.encode(raw)
        else:
            self._note(raw)

    def _note(self, raw: bytes) -> None:
        """A turn that starts afresh starts a stream of its own; one that goes on after a crash does not."""
        if control_kind(raw) == "turn-start" and control_headers(raw)["attempt"] == 1:
            self._dialect = self._new_dialect()

    def _follow(self, batch: Batch) -> None:
        if batch.first != self._next:
            self._dialect = self._new_dialect()
        self._next = batch.last + 1

    def _new_dialect(self) -> Dialect:
        """This client knows its own marker of a steered message, and the one of 7 only by way of the AI SDK."""
        return Dialect(self._major, steering_as_data=True)
