"""Reads a stream in S2's framing as the published client does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

Record = dict[str, Any]


class Reader:
    """One open `GET …/out`."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.events: list[str] = []
        self._lines = response.iter_lines()
        self._waiting: list[Record] = []

    def records(self) -> Iterator[Record]:
        """All records as they come, to the end of the body."""
        event = ""
        for line in self._lines:
            name, _, value = line.partition(": ")
            if name == "event":
                event = value
            elif line.startswith(":") or (name == "data" and event != "batch"):
                self.events.append(line)
            elif name == "data":
                self._waiting += json.loads(value)["records"]
            elif not line:
                event = ""
            while self._waiting:
                yield self._waiting.pop(0)

    def until(self, kind: str) -> list[Record]:
        """Records up to and with the first control record of this kind."""
        found: list[Record] = []
        for record in self.records():
            found.append(record)
            if control_of(record) == kind:
                break
        return found


@contextmanager
def subscribe(http: httpx.Client, chat_id: str, **headers: str) -> Iterator[Reader]:
    """Open a stream; `headers` with `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with http.stream("GET", f"/realtime/v1/sessions/{chat_id}/out", headers=named) as response:
        assert response.status_code == 200, response.read()
        yield Reader(response)


def control_of(record: Record) -> str | None:
    """The kind of a control record."""
    return header(record, "trigger-control")


def header(record: Record, name: str) -> str | None:
    """One header of a record."""
    return next((value for key, value in record.get("headers", ()) if key == name), None)


def chunks_of(records: list[Record]) -> list[dict[str, Any]]:
    """The chunks among records."""
    return [json.loads(record["body"])["data"] for record in records if record["body"]]
