"""The records of a chat's outbox as they come, over as many connections as it takes. Sans-I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from chatagent.client.event import Events
from chatagent.client.gateway import Gateway
from chatagent.client.want import Call, Give, Lost, Read, Steps, Wait
from chatagent.errors import Retryable

#: Seconds of silence after which the gateway ends a stream; the next one goes on behind it.
_QUIET_S = 600
_CONTROL = "trigger-control"
_CLOSED = "session-closed"
#: Records that only say where the stream is.
_SILENT = ("heartbeat", "skip")


@dataclass(frozen=True, slots=True)
class Record:
    """One record: a chunk, or what the log itself says (`turn-start`, `turn-complete`, `session-closed` …)."""

    seq: int
    chunk: dict[str, Any] | None = None
    control: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def follow(gateway: Gateway, path: str, after: int | None, *, latest: bool = False) -> Steps[None]:
    """Give every record after a seq (None: all that are kept) until the chat is closed. Raises: NotFound, Retryable."""
    failures = 0
    while True:
        headers = {"Timeout-Seconds": str(_QUIET_S), "X-AI-SDK": "7"}
        if after is not None:
            headers["Last-Event-ID"] = str(after)
        elif latest:
            headers["X-Trigger-Stream-Start"] = "latest"
        else:
            headers["Last-Event-ID"] = "-1"
        try:
            yield from gateway.ask(Call("GET", path, headers=headers, stream=True))
            events = Events()
            while data := (yield Read()):
                for event in events.feed(data):
                    for record in _records(event):
                        failures = 0
                        if after is not None and record.seq < after:
                            continue
                        after = record.seq
                        if record.control in _SILENT:
                            continue
                        yield Give({"record": record})
                        if record.control == _CLOSED:
                            return
        except Lost as lost:
            failures += 1
            if failures > gateway.limits.retries:
                raise Retryable(f"nothing answers at {gateway.url} ({lost})") from lost
            yield Wait(gateway.limits.pause(failures))


def _records(event: bytes) -> Iterator[Record]:
    """The records of one event."""
    if not event.startswith(b"{"):
        return
    for sent in orjson.loads(event).get("records", ()):
        headers = dict(sent.get("headers") or ())
        control = headers.pop(_CONTROL, None) or headers.pop("", None)
        chunk = orjson.loads(sent["body"])["data"] if sent.get("body") else None
        yield Record(sent["seq_num"], chunk, control, headers)
