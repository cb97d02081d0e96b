"""The connection is cut after every single record of a turn, in every door: nothing is lost, nothing comes twice.

The Python client has the same in `tests/client/test_cut.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from chatagent.ui import fold_message
from tests.e2e.client import Client, Clients
from tests.e2e.cutter import Count, Cutter, batches, events, frames
from tests.e2e.page import assert_same
from tests.e2e.script import hold, message, part
from tests.e2e.server import Server, Started
from tests.long_turn import FORTY
from tests.loopback import LOOPBACK
from tests.stack import wait_until

pytestmark = pytest.mark.e2e

Chunk = dict[str, Any]
Record = dict[str, Any]

#: What the gateway says of such a turn in front of its first part, and behind its last.
BEFORE, AFTER = 1, 1
RECORDS = BEFORE + len(FORTY) + AFTER
CUTS = range(RECORDS + 1)
#: Seconds without a frame.
WAIT_S = 30.0


@dataclass
class Cut:
    """A chat whose turn waits, after so many records, until its reader has lost its connection and is back."""

    server: Server
    chat: Started
    cutter: Cutter
    text: str
    gate: Path

    def go_on(self) -> None:
        """The reader is back."""
        assert self.cutter.cut.is_set()
        self.gate.touch()


NewCut = Callable[[int, Count], Cut]


@pytest.fixture
def new_cut(server: Server, tmp_path: Path) -> Iterator[NewCut]:
    """Makes chats that are cut after so many records."""
    cutters: list[Cutter] = []

    def make(at: int, count: Count) -> Cut:
        cutter = Cutter(server.url, at, count)
        cutters.append(cutter)
        split = min(max(at - BEFORE, 0), len(FORTY))
        while 0 < split < len(FORTY) and FORTY[split - 1]["type"].endswith("-step"):
            split += 1  # a step begins and ends together with what follows
        gate = tmp_path / f"gate-{at}"
        waits = [hold(gate)] if split < len(FORTY) else []
        steps = [*map(part, FORTY[:split]), *waits, *map(part, FORTY[split:])]
        return Cut(server, server.start("echo"), cutter, message(*steps), gate)

    yield make
    for cutter in cutters:
        cutter.close()


def at_once(work: Callable[[int], None]) -> None:
    """Try every cut, many at a time; the first that fails is raised."""
    with ThreadPoolExecutor(14) as pool:
        for _ in pool.map(work, CUTS):
            pass


def test_the_turn_has_forty_records() -> None:
    assert RECORDS == 40


@pytest.mark.parametrize(("client", "count"), [("http7?ai=7", events), ("ws7", frames)], ids=["ai7-sse", "ai7-ws"])
def test_cut_after_every_record_in_a_page(client: Client, count: Count, clients: Clients, new_cut: NewCut) -> None:
    def lose_and_resume(at: int) -> None:
        # Given a page that lost its connection
        cut = new_cut(at, count)
        chat = clients.open(client, cut.cutter.url, cut.chat.chat_id, token=cut.chat.token)
        chat.send(cut.text)
        chat.wait_settled()
        assert cut.cutter.cut.is_set(), f"{at}: not cut"
        assert (len(chat.chunks), chat.finishes[-1]["isDisconnect"]) == (at, True), f"cut after {at}"
        if at >= RECORDS - AFTER:
            cut.server.wait_idle(chat.chat_id)  # the answer has ended meanwhile
        # When it resumes
        chat.revive()
        if at < RECORDS - AFTER:
            chat.wait_chunks(at + 1)
        cut.go_on()
        chat.wait_settled()
        # Then it holds what is stored, and the replay alone tells all of it; none comes when all had been written
        assert chat.status == "ready", f"cut after {at}"
        stored = assert_same(chat, cut.server)
        assert stored[-1] == fold_message(chat.chunks[at:] if at < RECORDS - AFTER else chat.chunks), f"cut after {at}"
        chat.close()

    at_once(lose_and_resume)


def test_cut_after_every_record_of_a_watched_chat(new_cut: NewCut, clients: Clients) -> None:
    def lose_and_watch_again(at: int) -> None:
        cut = new_cut(at, frames)
        records = _watch(cut, cut.cutter.url, None)
        assert len(records) == at and cut.cutter.cut.is_set()
        records += _watch(cut, cut.cutter.url, records[-1]["seq"] if records else 0)
        seqs = [record["seq"] for record in records]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs))), f"cut after {at}: {seqs}"
        chunks = [record["chunk"] for record in records if "chunk" in record]
        assert len(chunks) == RECORDS
        assert fold_message(chunks) == cut.server.wait_idle(cut.chat.chat_id)[-1]

    at_once(lose_and_watch_again)


def test_cut_after_every_record_of_a_session_stream(new_cut: NewCut) -> None:
    def lose_and_go_on(at: int) -> None:
        cut = new_cut(at, batches)
        _append(cut)
        records = _read_out(cut, None)
        assert cut.cutter.cut.is_set()
        assert at <= len(_chunks(records)) <= at + 2, "cut where it was said, but for records that come together"
        if not _complete(records):
            records += _read_out(cut, records[-1]["seq_num"] if records else None)
        seqs = [record["seq_num"] for record in records]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs))), f"cut after {at}: {seqs}"
        assert len(_chunks(records)) == RECORDS
        assert fold_message(_chunks(records)) == cut.server.wait_idle(cut.chat.chat_id)[-1]

    at_once(lose_and_go_on)


def _watch(cut: Cut, url: str, cursor: int | None) -> list[Record]:
    """The records that a watching WebSocket gives, until it is cut or the turn is complete."""
    address = f"{url.replace('http', 'ws', 1)}/api/chat/ws?token={cut.chat.token}"
    records: list[Record] = []
    with connect(address, compression=None, proxy=None) as socket:
        try:
            at = {} if cursor is None else {"cursor": cursor}
            socket.send(json.dumps({"type": "watch", "requestId": "w", "id": cut.chat.chat_id, **at}))
            if cursor is None:
                assert json.loads(socket.recv(timeout=WAIT_S))["type"] == "start"
                _append(cut)
            else:
                wait_until(cut.cutter.cut.is_set, "the cut")
                cut.go_on()
            while True:
                frame = json.loads(socket.recv(timeout=WAIT_S))
                if frame["type"] == "record":
                    records.append(frame)
                if frame.get("control", {}).get("kind") == "turn-complete":
                    return records
        except ConnectionClosed:
            pass
    return records


def _append(cut: Cut) -> None:
    """Send the message, past the cutter."""
    said = {"id": "u1", "role": "user", "parts": [{"type": "text", "text": cut.text}]}
    record = {"kind": "message", "payload": {"trigger": "submit-message", "message": said}}
    headers = {"Authorization": f"Bearer {cut.chat.token}"}
    path = f"{cut.server.url}/realtime/v1/sessions/{cut.chat.chat_id}/in/append"
    answer = httpx.post(path, json=record, headers=headers, timeout=30, **LOOPBACK)
    assert answer.status_code == 200, answer.text


def _read_out(cut: Cut, last: int | None) -> list[Record]:
    """The records of a session's stream, until it is cut or the turn is complete."""
    headers = {"Authorization": f"Bearer {cut.chat.token}", "X-Stream-Version": "v2", "X-AI-SDK": "7"}
    if last is not None:
        headers["Last-Event-ID"] = str(last)
    path = f"{cut.cutter.url}/realtime/v1/sessions/{cut.chat.chat_id}/out"
    again = cut.cutter.cut.is_set()
    records: list[Record] = []
    with closing(httpx.Client(timeout=30, **LOOPBACK)) as http:
        try:
            with http.stream("GET", path, headers=headers) as answer:
                if again:
                    cut.go_on()
                for line in answer.iter_lines():
                    if line.startswith("data: {"):
                        batch = json.loads(line.removeprefix("data: "))["records"]
                        records += [record for record in batch if "heartbeat" not in str(record.get("headers"))]
                    if _complete(records):
                        return records
        except httpx.TransportError:
            pass
    return records


def _complete(records: list[Record]) -> bool:
    return any("turn-complete" in str(record.get("headers")) for record in records)


def _chunks(records: list[Record]) -> list[Chunk]:
    return [json.loads(record["body"])["data"] for record in records if record["body"]]
