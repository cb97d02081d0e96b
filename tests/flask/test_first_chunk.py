"""The first chunk is never lost, whoever asks, whenever, at whichever gateway."""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import Any

from tests.flask.conftest import NewGateway
from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker, Turn, echo, say
from tests.flask.talk import Socket, body, chunks_of, socket, text_of


def burst(turn: Turn) -> None:
    """Answer as fast as can be: all in one commit, so that nothing hides a reader that comes late."""
    turn.commit(*say(f"You said: {turn.text}", message_id=f"answer-{turn.record.seq}"))


def collect(ws: Socket, count: int) -> dict[str, list[dict[str, Any]]]:
    """Chunks by request, until so many requests have ended."""
    chunks: dict[str, list[dict[str, Any]]] = {}
    ended = 0
    while ended < count:
        frame = ws.get(timeout_s=30)
        assert frame["type"] in ("start", "chunk", "end"), frame
        if frame["type"] == "chunk":
            assert frame["sequence"] == len(chunks.setdefault(frame["requestId"], [])), frame
            chunks[frame["requestId"]].append(frame["chunk"])
        ended += frame["type"] == "end"
    return chunks


def in_threads(count: int, work: Any) -> None:
    """Run `work(0) … work(count - 1)` at once; the first failure is raised."""
    failures: list[BaseException] = []

    def guarded(at: int) -> None:
        try:
            work(at)
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=guarded, args=(at,)) for at in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_a_thousand_chats_at_once_lose_no_chunk(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(burst, threads=4)

    def connection(at: int) -> None:
        with socket(gateway) as ws:
            for chat in range(50):
                ws.send(f"r{chat}", f"c{at}-{chat}", f"message {chat}")
            for request_id, chunks in collect(ws, 50).items():
                assert chunks[0]["type"] == "start"
                assert text_of(chunks) == f"You said: message {request_id[1:]}"

    in_threads(20, connection)


def test_two_hundred_sends_to_one_chat_are_each_answered_in_order(
    gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    worker.serve(burst, threads=2)
    answers: Counter[str] = Counter()

    def connection(at: int) -> None:
        with socket(gateway) as ws:
            for number in range(10):
                ws.send(f"r{number}", "c1", f"{at}-{number}", f"u{at}-{number}")
            for request_id, chunks in collect(ws, 10).items():
                assert text_of(chunks) == f"You said: {at}-{request_id[1:]}"
                answers[chunks[0]["messageId"]] += 1

    in_threads(20, connection)
    assert answers == Counter({f"answer-{seq}": 1 for seq in range(200)})
    with gateway.http(gateway.token()) as http:
        history = http.get("/api/v1/sessions/c1/history").json()["messages"]
    assert [message["id"] for message in history if message["role"] == "assistant"] == [
        f"answer-{seq}" for seq in range(200)
    ]


def test_two_gateways_need_no_sticky_routing(
    gateway: GatewayProcess, gateway_with: NewGateway, worker: ScriptedWorker
) -> None:
    worker.serve(echo, threads=2)
    gateways = [gateway, gateway_with(title="another")]
    for at in range(6):
        here, there = gateways[at % 2], gateways[(at + 1) % 2]
        with here.http(here.token()) as http, there.http(there.token()) as other:
            assert text_of(chunks_of(http.post("/api/chat", json=body("c1", f"m{at}", f"u{at}")))) == f"You said: m{at}"
            assert len(other.get("/api/v1/sessions/c1/history").json()["messages"]) == 2 * at + 2


def test_a_turn_is_resumed_and_stopped_at_another_gateway(
    gateway: GatewayProcess, gateway_with: NewGateway, worker: ScriptedWorker
) -> None:
    here, there = gateway, gateway_with(title="another")
    with socket(here) as ws, socket(there) as other:
        ws.send("r1", "c1", "hi")
        turn = worker.claim()
        turn.append(*say("a b")[:4])
        other.resume("r2", "c1")
        other.until("chunk")
        other.put("abort", requestId="r2")
        while not turn.append({"type": "text-delta", "id": "t1", "delta": "."}):
            pass
        turn.commit({"type": "abort"}, outcome="stopped")
        assert ws.answer("r1")[-1]["type"] == "abort"


def test_readers_that_come_and_go_all_see_the_same(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    said = say(" ".join(f"w{at}" for at in range(300)))
    seen: list[list[dict[str, Any]]] = []
    chance = random.Random(7)
    with socket(gateway) as ws:
        ws.send("r0", "c1", "hi")
        turn = worker.claim()
        turn.append(said[0])

        def reader(at: int) -> None:
            with socket(gateway) as late:
                late.resume("r", "c1")
                late.until("start")
                started.release()
                seen.append([frame["chunk"] for frame in late.until("end")[:-1]])

        readers: list[threading.Thread] = []
        started = threading.Semaphore(0)
        for at in range(1, len(said) - 1, 5):
            turn.append(*said[at : at + 5][: len(said) - 1 - at])
            if chance.random() < 0.5:
                readers.append(threading.Thread(target=reader, args=(at,)))
                readers[-1].start()
        with socket(gateway) as late:
            late.resume("last", "c1")
            late.until("start")
            # One that comes after the end finds nothing to resume.
            for _ in readers:
                assert started.acquire(timeout=30)
            turn.commit(said[-1])
            frames = late.until("end")
        for thread in readers:
            thread.join()
        assert ws.answer("r0") == said
    assert [frame["chunk"] for frame in frames[:-1]] == said
    assert len(seen) == len(readers)
    assert all(chunks == said for chunks in seen)
