"""Streams, judged by the published packages themselves: what they accept, store and show. Needs Node."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from chatagent.errors import BadRequest
from chatagent.ui import (
    Dialect,
    Fold,
    decode,
    encode,
    fold_message,
    message_to_chunks,
    parse_partial_json,
    replay,
    translate_message,
    validate_chunk,
)
from chatagent.ui.dialect import REDONE
from tests.conformance.random_stream import RandomStream
from tests.conftest import missing
from tests.node import InstallError, Node
from tests.ui.streams import broken_streams, json_values, streams

Chunk = dict[str, Any]
Job = dict[str, Any]
Major = Literal[5, 6, 7]
#: Gives the driver's answers to some jobs.
Clients = Callable[[Sequence[Job]], list[Any]]

_FOLDER = Path(__file__).parent / "node"
_MAJORS: tuple[Major, ...] = (5, 6, 7)
#: What each client is sent: its own dialect, and the portable one.
_TONGUES: tuple[tuple[Major, Major | None], ...] = ((5, 5), (5, None), (6, 6), (6, None), (7, 7), (7, None))
#: Fields, and what may be put there that does not belong.
_FIELDS = (
    *("id", "providerMetadata", "title", "toolMetadata", "dynamic", "transient", "inputEncoding", "citations"),
    *("reason", "finishReason", "messageId", "parts", "isAutomatic", "preliminary", "filename", "extra"),
)
_SOURCE = {"type": "source", "sourceType": "url", "id": "s", "url": "u"}
_DOCUMENT = {"type": "source", "sourceType": "document", "id": "s", "mediaType": "a/b", "title": "t"}
_ODD: list[Any] = [
    *(None, 1, 1.5, "x", "", True, [], {}, [1], "text", "interrupted", "unknown"),
    *({"p": {}}, {"p": 1}, {"p": None}),
    *([{"type": "text"}], [{"type": "file", "mediaType": "a", "url": "u", "filename": 1}]),
    *([{"source": _SOURCE, "startIndex": -1}], [{"source": _DOCUMENT}], [{"source": {**_SOURCE, "type": "x"}}]),
]
_USER = {"id": "u1", "role": "user", "parts": [{"type": "text", "text": "hi"}]}


@pytest.fixture(scope="session")
def packages(node: Node) -> Path:
    """The published packages, installed once."""
    try:
        return node.install(_FOLDER)
    except InstallError as error:
        missing(f"the npm registry ({error})")


@pytest.fixture
def clients(node: Node, packages: Path, tmp_path: Path) -> Clients:
    """Does jobs with the published packages."""

    def run(jobs: Sequence[Job]) -> list[Any]:
        asked = tmp_path / "jobs.ndjson"
        asked.write_text("\n".join(map(json.dumps, jobs)))
        answers = node.run(packages / "driver.mjs", str(asked)).split("\n")
        # JavaScript has only doubles, and writes the large ones with other digits than Python.
        return [json.loads(line, parse_int=float) for line in answers if line]

    return run


def _some(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """The same few examples every time."""
    found: list[Any] = []

    @settings(
        max_examples=count, database=None, derandomize=True, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def collect(example: Any) -> None:
        found.append(example)

    collect()
    return found


def _told(chunks: Sequence[Chunk], tongue: Major | None) -> list[bytes]:
    """The chunks as a worker writes them and a door sends them to clients of this tongue."""
    dialect = Dialect(tongue)
    return [raw for chunk in chunks for raw in dialect.encode(encode(chunk))]


def _body(records: Sequence[bytes]) -> str:
    """The response of the HTTP door."""
    events = b": keep-alive\n\n".join(b"data: %b\n\n" % record for record in records)
    return (b": stream-open\n\n" + events + b"data: [DONE]\n\n").decode()


def _shown(records: Sequence[bytes], major: Major, initial: Chunk | None = None) -> Chunk:
    """Our own idea of what a client makes of these records."""
    return fold_message([decode(record) for record in records], initial, major=major)


def _closed(chunks: Sequence[Chunk]) -> list[Chunk]:
    """With something at the end that makes browsers show a step without content."""
    return [*chunks[:-1], {"type": "message-metadata", "messageMetadata": {"done": True}}, chunks[-1]]


def test_browsers_hold_what_we_store(clients: Clients) -> None:
    answers = [_closed(chunks) for chunks in _some(streams(), 30) + _some(broken_streams(), 20)]
    told = [(major, tongue, chunks, _told(chunks, tongue)) for major, tongue in _TONGUES for chunks in answers]
    held = clients([{"job": "hold", "major": major, "body": _body(records)} for major, _, _, records in told])
    for (major, tongue, chunks, records), seen in zip(told, held, strict=True):
        assert seen["errors"] == []
        assert seen["message"] == _shown(records, major)
        if tongue == 7:
            assert seen["message"] == decode(encode(fold_message(chunks))), "what is stored"


@pytest.mark.parametrize(
    "last", [{"type": "abort"}, {"type": "error", "errorText": "It broke."}], ids=["stop", "error"]
)
def test_browsers_hold_what_we_store_of_an_answer_that_ends_early(clients: Clients, last: Chunk) -> None:
    random = Random(5)
    told = []
    for chunks in _some(streams(), 20):
        fold = Fold()
        begun = chunks[: random.randrange(1, len(chunks))]
        for chunk in begun:
            fold.add(chunk)
        ended = _closed([*begun, *fold.closing("stopped"), last])
        told += [(major, tongue, ended, _told(ended, tongue)) for major, tongue in _TONGUES]
    held = clients([{"job": "hold", "major": major, "body": _body(records)} for major, _, _, records in told])
    for (major, tongue, chunks, records), seen in zip(told, held, strict=True):
        assert seen["errors"] == ([last["errorText"]] if last["type"] == "error" else [])
        assert seen["message"] == _shown(records, major)
        assert all(part.get("state") not in ("streaming", "input-streaming") for part in seen["message"]["parts"])
        if tongue == 7:
            assert seen["message"] == decode(encode(fold_message(chunks))), "what is stored"


def test_browsers_rebuild_a_stored_message_from_its_replay(clients: Clients) -> None:
    messages = [fold_message(_closed(chunks)) for chunks in _some(streams(), 20)]
    told = [
        (major, tongue, message, _told(_closed([*message_to_chunks(message), {"type": "finish"}]), tongue))
        for major, tongue in _TONGUES
        for message in messages
    ]
    held = clients(
        [
            {"job": "hold", "major": major, "body": _body(records), "messages": [_USER], "trigger": "resume"}
            for major, _, _, records in told
        ]
    )
    for (major, tongue, message, records), seen in zip(told, held, strict=True):
        assert (seen["errors"], seen["count"]) == ([], 2)
        assert seen["message"] == _shown(records, major)
        if tongue == 7:
            assert seen["message"] == decode(encode(message)), "what is stored"


def test_browsers_go_on_with_a_message_where_it_stood(clients: Clients) -> None:
    befores = [fold_message(chunks) for chunks in _some(streams(), 15)]
    nexts = [_closed([{"type": "start", "messageId": "m1"}, *chunks[1:]]) for chunks in _some(streams(), 15)]
    told = [
        (major, before, _told(chunks, tongue))
        for major, tongue in _TONGUES
        for before, chunks in zip(befores, nexts, strict=True)
    ]
    held = clients(
        [
            {"job": "hold", "major": major, "body": _body(records), "messages": [_USER, decode(encode(before))]}
            for major, before, records in told
        ]
    )
    for (major, before, records), seen in zip(told, held, strict=True):
        assert (seen["errors"], seen["count"]) == ([], 2)
        assert seen["message"] == _shown(records, major, before)


def test_browsers_see_nothing_of_a_dead_step_in_a_replay(clients: Clients) -> None:
    answers = [_closed(chunks) for chunks in _some(broken_streams(), 20)]
    jobs = [
        {"job": "hold", "major": major, "body": _body(_told(replay(chunks), major))}
        for major in _MAJORS
        for chunks in answers
    ]
    for at, seen in enumerate(clients(jobs)):
        alive = fold_message(answers[at % len(answers)])
        kinds = [part["type"] for part in seen["message"]["parts"]]
        assert seen["errors"] == []
        assert kinds.count("step-start") == [part["type"] for part in alive["parts"]].count("step-start")
        assert all(part.get("errorText") != REDONE for part in seen["message"]["parts"])
        if jobs[at]["major"] == 7:
            assert seen["message"] == decode(encode(alive))


def test_every_release_accepts_the_portable_stream(clients: Clients) -> None:
    answers = _some(streams(), 30) + _some(broken_streams(), 15)
    portable = sorted({record.decode() for chunks in answers for record in _told(chunks, None)})
    own = {
        major: sorted({record.decode() for chunks in answers for record in _told(chunks, major)}) for major in _MAJORS
    }
    asked = [(f"ai{major}{age}", portable) for major in _MAJORS for age in ("", "early")]
    asked += [(f"ai{major}", events) for major, events in own.items()]
    for (release, _), answer in zip(
        asked,
        clients([{"job": "refuse", "release": release, "events": events} for release, events in asked]),
        strict=True,
    ):
        assert answer == {"refused": []}, release


def test_stored_messages_are_valid_in_the_words_of_every_generation(clients: Clients) -> None:
    messages = [decode(encode(fold_message(chunks))) for chunks in _some(streams(), 60) + _some(broken_streams(), 20)]
    # No chunk of an approval is missing in what our own worker writes: an answered call was approved before.
    stored = [message for message in messages if not any(_asked_in_vain(part) for part in message["parts"])]
    assert len(stored) > 40
    jobs: list[Job] = [
        {"job": "valid", "major": major, "messages": [translate_message(each, major) for each in stored]}
        for major in _MAJORS
    ]
    for job, answer in zip(jobs, clients(jobs), strict=True):
        assert answer == {"refused": []}, job["major"]


def _asked_in_vain(part: Chunk) -> bool:
    """A call that was answered before its user was."""
    answered = part.get("state") in ("output-available", "output-error", "output-denied")
    return answered and "approval" in part and "approved" not in part["approval"]


def test_values_of_all_kinds_arrive(clients: Clients) -> None:
    value = {
        "proto": {"__proto__": {"a": 1}, "constructor": {"prototype": 1}},
        "separators": "\u2028\u2029\r\n",
        "floats": [1.0, -0.0, 1e22, 5e-324],
        "half": "\ud83d",
        "large": 2**53,
        "keys": {1: "a", None: "b"},
        "none": None,
    }
    chunks: list[Chunk] = [
        {"type": "start", "messageId": "m1"},
        {"type": "data-x", "data": value},
        {"type": "text-start", "id": "t"},
        {"type": "text-delta", "id": "t", "delta": "half \ud83d"},
        {"type": "text-delta", "id": "t", "delta": "\ude00 whole"},
        {"type": "text-end", "id": "t"},
        {"type": "finish"},
    ]
    told = [(major, _told(chunks, tongue)) for major, tongue in _TONGUES]
    for seen in clients([{"job": "hold", "major": major, "body": _body(records)} for major, records in told]):
        assert seen["errors"] == []
        assert seen["message"] == decode(encode(fold_message(chunks)))
        assert seen["message"]["parts"][1]["text"] == "half 😀 whole"


@pytest.mark.parametrize("major", _MAJORS)
def test_random_streams_are_stored_as_javascript_servers_store_them(clients: Clients, major: Major) -> None:
    random = RandomStream(seed=major)
    jobs: list[Job] = []
    for number in range(200):
        before = {**fold_message(random.stream(), major=major), "id": "m0"} if number % 3 == 0 else None
        history = [_USER, before] if before else []
        chunks = [_with_id(chunk, "m0") if before else chunk for chunk in random.stream()]
        jobs.append({"job": "store", "major": major, "chunks": chunks, "messages": history})
    jobs = json.loads(json.dumps(jobs))
    for job, stored in zip(jobs, clients(jobs), strict=True):
        ours = fold_message(job["chunks"], (job["messages"] or [None])[-1], major=major)
        if stored["message"]["id"].startswith("server-"):
            ours["id"] = stored["message"]["id"]
        assert json.loads(json.dumps(ours)) == stored["message"]


def _with_id(chunk: Chunk, message_id: str) -> Chunk:
    """A JavaScript server names the message that it continues in every `start`."""
    return {**chunk, "messageId": message_id} if chunk["type"] == "start" and "messageId" not in chunk else chunk


@pytest.mark.parametrize("major", _MAJORS)
def test_we_refuse_what_clients_refuse(clients: Clients, major: Major) -> None:
    random, maker = Random(major), RandomStream(seed=100 + major)
    chunks = [maker.chunk() for _ in range(1000)]
    for chunk in chunks[::2]:
        chunk[random.choice([*chunk, *_FIELDS][1:])] = random.choice(_ODD)
    for chunk in chunks[::7]:
        chunk.pop(random.choice([*list(chunk)[1:], "nothing"]), None)
    answer = clients([{"job": "refuse", "release": f"ai{major}", "events": [json.dumps(chunk) for chunk in chunks]}])[0]
    refused = {at for at, _ in answer["refused"]}
    assert {at for at, chunk in enumerate(chunks) if not _accepts(chunk, major)} == refused
    assert 100 < len(refused) < 900


def _accepts(chunk: Chunk, major: Major) -> bool:
    try:
        validate_chunk(chunk, major=major)
    except BadRequest:
        return False
    return True


@pytest.mark.parametrize("major", _MAJORS)
def test_half_written_json_is_read_as_clients_read_it(clients: Clients, major: Major) -> None:
    random = Random(major)
    texts = []
    for value in _some(json_values, 100):
        text = json.dumps({"a": value, "b": [value]}, ensure_ascii=random.random() < 0.5)
        texts += [text[: random.randrange(len(text) + 1)] for _ in range(3)]
        noise = random.choice('{}[],:"\\u0e1.-+ tfn')
        at = random.randrange(len(text) + 1)
        texts.append(text[:at] + noise + text[at : random.randrange(at, len(text) + 1)])
    answer = clients([{"job": "parse", "major": major, "texts": texts}])[0]
    for text, expected in zip(texts, answer["parsed"], strict=True):
        parsed = parse_partial_json(text, major=major)
        state = "failed" if parsed is None else "successful" if parsed.complete else "repaired"
        assert (state + "-parse", None if parsed is None else parsed.value) == (
            expected["state"],
            expected.get("value"),
        )
