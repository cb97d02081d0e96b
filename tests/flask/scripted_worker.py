"""A worker that does what a test says: it claims, appends and commits by the same Lua verbs as a real one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import redis

from chatagent.record import InRecord
from chatagent.redis.claim import Holder, claim_command, read_claim
from chatagent.redis.commit import commit_command
from chatagent.redis.connection import connect
from chatagent.redis.doorbell import MAX_BELL_BYTES
from chatagent.redis.keys import Keys
from chatagent.redis.script import run, script
from chatagent.runtime.conversation import Changes, apply, changes
from chatagent.runtime.port import Claim, Commit
from chatagent.ui import encode, fold_message

#: Redis list into which the gateways of tests put what they would send to Celery.
TASKS = "tasks"
LEASE_MS = 15_000

Chunk = dict[str, Any]
Message = dict[str, Any]


@dataclass
class Turn:
    """One claimed turn. `append` streams chunks, `commit` ends it."""

    worker: ScriptedWorker
    claimed: Claim

    def __post_init__(self) -> None:
        self.session_id, self.epoch = self.claimed.session_id, self.claimed.epoch
        self.record: InRecord = self.claimed.record
        self.history: list[Message] = self.claimed.history or []
        self.stopped = self.claimed.stopped
        self.chunks: list[Chunk] = []
        self.batch = 0
        applied = apply(self.history, self.record)
        self.initial = applied.response
        self.messages = applied.messages

    def append(self, *chunks: Chunk) -> bool:
        """Write a batch; True when the turn was stopped meanwhile."""
        self.batch += 1
        self.chunks += chunks
        keys = self.worker.keys
        (answer,) = run(
            self.worker.client,
            script("append")(
                [keys.session(self.session_id), keys.outbox(self.session_id)],
                [
                    self.epoch,
                    self.batch,
                    LEASE_MS,
                    keys.out_channel(self.session_id),
                    MAX_BELL_BYTES,
                    *map(encode, chunks),
                ],
            ),
        )
        assert answer[0] == b"ok", answer
        self.stopped = self.stopped or answer[2] == 1
        return self.stopped

    def commit(self, *chunks: Chunk, outcome: str = "completed", consumed: tuple[int, ...] = ()) -> Message:
        """End the turn with these last chunks and the other messages that it took in; returns the stored message."""
        self.chunks += chunks
        message = fold_message(self.chunks, self.initial)
        kept = self.messages[:-1] if self.initial is not None else self.messages
        edit = changes(self.history, [*kept, message])
        self._end(edit, chunks, {"outcome": outcome, "message_id": message["id"]}, consumed)
        return message

    def end(self) -> None:
        """End the turn without an answer, as an action that only edits the chat does."""
        self._end(changes(self.history, self.messages), (), {"outcome": "completed", "message_id": None}, ())

    def _end(self, edit: Changes, chunks: Sequence[Chunk], told: dict[str, Any], consumed: tuple[int, ...]) -> None:
        headers = {"in": self.record.seq, "turn": 0, **told}
        records = [encode(chunk) for chunk in chunks]
        commit = Commit(self.claimed, edit, records, headers, {}, warm_s=0, consumed=consumed)
        (answer,) = run(self.worker.client, commit_command(self.worker.keys, commit, ""))
        assert answer[0] == b"ok", answer
        if answer[2] == 1:
            self.worker.enqueue(self.session_id)

    @property
    def text(self) -> str:
        """What the user wrote."""
        parts = (self.record.payload.get("message") or {}).get("parts", ())
        return "".join(part.get("text", "") for part in parts)


class ScriptedWorker:
    """Claims turns from the queue of tests."""

    def __init__(self, url: str, prefix: str = "chatagent") -> None:
        self.client: redis.Redis = connect(url)
        self.keys = Keys(prefix)
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self.errors: queue.Queue[BaseException] = queue.Queue()

    def announce(self, *agents: str) -> None:
        """Say that a worker lives and serves these agents."""
        (seconds, micros), _ = run(self.client, ("TIME",), ("PING",))
        now = int(seconds) * 1000 + int(micros) // 1000
        self.client.zadd(self.keys.workers, {"scripted": now})
        for agent in agents:
            card: dict[str, Any] = {
                "id": agent,
                "description": "",
                "queue": "turns",
                "model": None,
                "examples": [],
                "seen_ms": now,
            }
            self.client.hset(self.keys.agents, agent, orjson.dumps(card))

    def enqueue(self, session_id: str) -> None:
        """What a gateway's dispatch does in tests."""
        self.client.rpush(TASKS, session_id)

    def next_task(self, timeout_s: float = 30) -> str | None:
        """The session of the next task."""
        found: Any = self.client.blpop([TASKS], timeout=timeout_s)
        return found[1].decode() if found else None

    def claim(self, session_id: str | None = None, timeout_s: float = 30) -> Turn:
        """Take the next turn, or the one of this session."""
        if session_id is None:
            session_id = self.next_task(timeout_s)
            assert session_id is not None, "no task came"
        turn = self.try_claim(session_id)
        assert turn is not None, "nothing to claim"
        return turn

    def try_claim(self, session_id: str) -> Turn | None:
        """Take a turn of this session, if there is one to take."""
        command = claim_command(self.keys, session_id, Holder("scripted", LEASE_MS))
        (answer,) = run(self.client, command)
        claim = read_claim(answer)
        return None if claim is None else Turn(self, claim)

    def serve(self, answer: Callable[[Turn], None], threads: int = 1) -> None:
        """Answer every turn in the background until `close`."""

        def loop() -> None:
            while not self._stopping.is_set():
                session_id = self.next_task(timeout_s=0.2)
                turn = self.try_claim(session_id) if session_id else None
                if turn is None:
                    continue
                try:
                    answer(turn)
                except Exception as error:
                    self.errors.put(error)
                    raise

        for _ in range(threads):
            thread = threading.Thread(target=loop, daemon=True)
            thread.start()
            self._threads.append(thread)

    def close(self) -> None:
        """End; a failure in the background is raised here."""
        self._stopping.set()
        if self._threads:
            self.client.rpush(TASKS, *[b""] * len(self._threads))  # nobody waits for a task any longer
        for thread in self._threads:
            thread.join(10)
        self.client.close()
        if not self.errors.empty():
            raise self.errors.get()


def say(text: str, *, message_id: str = "m1", words: bool = True) -> list[Chunk]:
    """The chunks of a plain answer."""
    deltas = text.split(" ") if words else [text]
    spoken = [word if at == 0 else f" {word}" for at, word in enumerate(deltas)]
    return [
        {"type": "start", "messageId": message_id},
        {"type": "start-step"},
        {"type": "text-start", "id": "t1"},
        *[{"type": "text-delta", "id": "t1", "delta": word} for word in spoken],
        {"type": "text-end", "id": "t1"},
        {"type": "finish-step"},
        {"type": "finish", "finishReason": "stop"},
    ]


def echo(turn: Turn) -> None:
    """Answer with what the user said, in three batches."""
    chunks = say(f"You said: {turn.text}", message_id=f"answer-{turn.record.seq}")
    turn.append(chunks[0])
    turn.append(*chunks[1:-1])
    turn.commit(chunks[-1])


def batches(chunks: Sequence[Chunk], size: int) -> Iterator[Sequence[Chunk]]:
    """Chunks in groups of `size`."""
    for at in range(0, len(chunks), size):
        yield chunks[at : at + size]
