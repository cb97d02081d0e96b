"""Any mix of lost, repeated and early doorbells with reads of the log gives exactly the log."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chatagent.record import Bell, OutRecord, control
from chatagent.relay import Answer, Batch, Read, Tail

MAX_BYTES = 200


@dataclass
class Log:
    """An outbox in memory."""

    records: list[bytes] = field(default_factory=list)
    #: Records before this seq were trimmed.
    kept_from: int = 0

    def append(self, records: list[bytes], *, carried: bool = True) -> Bell:
        first = len(self.records)
        self.records += records
        return Bell(first, len(records), list(records) if carried else [])

    def page(self, read: Read) -> list[OutRecord]:
        first = max(read.after + 1, self.kept_from)
        return [OutRecord(seq, self.records[seq]) for seq in range(first, len(self.records))][: read.limit]


def record(seq: int, size: int = 10) -> bytes:
    return b'{"type":"%s"}' % str(seq).encode().ljust(size, b".")


class TailMachine(RuleBasedStateMachine):
    """A worker that writes, a pub/sub that loses, and a reader that is slow."""

    @initialize(before=st.integers(0, 3), early=st.integers(0, 3), caught_up=st.booleans(), lost=st.booleans())
    def subscribe(self, before: int, early: int, caught_up: bool, lost: bool) -> None:
        self.log = Log([record(seq) for seq in range(before)])
        self.tail = Tail(max_bytes=MAX_BYTES)
        self.bells: list[Bell] = []
        self.open_read: tuple[Read, list[OutRecord]] | None = None
        for _ in range(early):
            self.tail.ring(self.log.append([record(len(self.log.records))]))
        if lost:
            self.tail.lost()
        self.seen: list[bytes] = []
        self.start = before if caught_up else 0
        self.tail.place(self.start - 1, caught_up=caught_up)

    @rule(count=st.integers(1, 4), size=st.integers(1, 60), carried=st.booleans())
    def append(self, count: int, size: int, carried: bool) -> None:
        first = len(self.log.records)
        self.bells.append(self.log.append([record(first + at, size) for at in range(count)], carried=carried))

    @precondition(lambda self: self.bells)
    @rule(again=st.booleans())
    def ring(self, again: bool) -> None:
        self.tail.ring(self.bells[0])
        if not again:
            del self.bells[0]

    @precondition(lambda self: self.bells)
    @rule()
    def disconnect(self) -> None:
        """What was on its way is gone; the subscriber says so when it is back."""
        self.bells.clear()
        self.tail.lost()

    @precondition(lambda self: self.open_read is None and self.tail.must_read)
    @rule()
    def begin_read(self) -> None:
        read = self.tail.read()
        self.open_read = (read, self.log.page(read))

    @precondition(lambda self: self.open_read is not None)
    @rule()
    def end_read(self) -> None:
        assert self.open_read is not None
        self.tail.page(*self.open_read)
        self.open_read = None

    @rule(max_bytes=st.integers(1, 100), max_records=st.none() | st.integers(0, 3))
    def take(self, max_bytes: int, max_records: int | None) -> None:
        batch = self.tail.take(max_bytes=max_bytes, max_records=max_records)
        if batch is not None:
            assert batch.first == self.start + len(self.seen)
            assert batch.records
            assert max_records is None or len(batch.records) <= max_records
            self.seen += batch.records

    @invariant()
    def gives_a_prefix_of_the_log(self) -> None:
        if hasattr(self, "log"):
            assert self.seen == self.log.records[self.start : self.start + len(self.seen)]

    def teardown(self) -> None:
        """Once all bells have rung, reading what it asks for gives the rest."""
        if not hasattr(self, "log"):
            return
        for bell in self.bells:
            self.tail.ring(bell)
        if self.open_read is not None:
            self.tail.page(*self.open_read)
        for _ in range(10 * len(self.log.records) + 10):
            while batch := self.tail.take(max_bytes=1000):
                self.seen += batch.records
            if not self.tail.must_read:
                break
            read = self.tail.read()
            self.tail.page(read, self.log.page(read))
        assert self.seen == self.log.records[self.start :]


TestTail = TailMachine.TestCase


def test_a_follower_in_step_never_reads_the_log() -> None:
    log, tail = Log([record(0)]), Tail()
    tail.ring(log.append([record(1)]))
    tail.place(0, caught_up=True)
    for seq in range(2, 50):
        tail.ring(log.append([record(seq)]))
        assert not tail.must_read
    batch = tail.take(max_bytes=10_000)
    assert batch == Batch(1, log.records[1:])


def test_a_slow_reader_holds_a_bounded_queue() -> None:
    log, tail = Log(), Tail(max_bytes=MAX_BYTES)
    tail.place(-1, caught_up=True)
    for seq in range(1000):
        tail.ring(log.append([record(seq, 50)]))
        held = sum(len(raw) for batch in tail._waiting for raw in batch.records)
        assert held <= MAX_BYTES
    assert tail.must_read


def test_pages_shrink_when_records_are_large() -> None:
    log, tail = Log([record(seq, 100) for seq in range(100)]), Tail(max_bytes=1000)
    tail.place(-1, caught_up=False)
    first = tail.read()
    tail.page(first, log.page(first))
    while tail.take(max_bytes=10_000):
        pass
    assert tail.read().limit < 10


def test_a_trimmed_log_is_seen_as_a_jump() -> None:
    log, tail = Log([record(seq) for seq in range(10)], kept_from=6), Tail()
    tail.place(2, caught_up=False)
    read = tail.read()
    tail.page(read, log.page(read))
    assert tail.take(max_bytes=10_000) == Batch(6, log.records[6:])
    assert tail.cursor == 9


def turn(seq: int, texts: list[str], attempt: int = 1) -> list[bytes]:
    """The records of one turn."""
    start = control("turn-start", {"in": seq, "turn": seq, "attempt": attempt})
    return [start, *[b'{"type":"%s"}' % text.encode() for text in texts]]


def complete(seq: int, outcome: str = "completed") -> bytes:
    return control("turn-complete", {"in": seq, "turn": seq, "outcome": outcome})


def picked(answer: Answer, records: list[bytes], sizes: list[int], first: int = 0) -> list[bytes]:
    """What the answer picks when the records come in batches of these sizes."""
    chunks: list[bytes] = []
    at = 0
    for size in [*sizes, len(records)]:
        if at < len(records) and not answer.done:
            chunks += answer.pick(Batch(first + at, records[at : at + size]))
            at += size
    return chunks


@given(st.integers(0, 4), st.lists(st.integers(1, 5), max_size=20))
def test_an_answer_is_its_turn_alone(seq: int, sizes: list[int]) -> None:
    log = [raw for at in range(5) for raw in [*turn(at, [f"a{at}", f"b{at}"]), complete(at)]]
    answer = Answer(seq, after=-1)
    assert picked(answer, log, sizes) == [b'{"type":"a%d"}' % seq, b'{"type":"b%d"}' % seq]
    assert answer.done
    assert not answer.trimmed
    assert answer.headers["in"] == seq


def test_a_queued_send_skips_the_turn_that_runs() -> None:
    answer = Answer(1, after=7)
    log = [b'{"type":"rest of turn 0"}', complete(0), *turn(1, ["mine"]), complete(1)]
    assert picked(answer, log, [], first=8) == [b'{"type":"mine"}']


def test_a_turn_that_starts_again_after_a_crash_goes_on() -> None:
    log = [*turn(0, ["start", "first"]), *turn(0, ["reset-step", "second"], attempt=2), complete(0)]
    answer = Answer(0, after=-1)
    assert len(picked(answer, log, [])) == 4
    assert answer.done


def test_a_message_that_another_turn_took_along_ends_with_that_turn() -> None:
    log = [*turn(0, ["steered"]), complete(1)]
    answer = Answer(1, after=-1)
    assert picked(answer, log, []) == []
    assert answer.done
    assert not answer.trimmed


@pytest.mark.parametrize(
    "tail",
    [[complete(3)], [*turn(4, ["next"])], [b'{"type":"middle"}', complete(3)]],
    ids=["only its end", "only a later turn", "its middle"],
)
def test_a_turn_that_left_the_log_is_called_trimmed(tail: list[bytes]) -> None:
    answer = Answer(3, after=9)
    assert picked(answer, tail, [], first=40) == []
    assert answer.done
    assert answer.trimmed


def test_a_jump_inside_the_turn_ends_it_as_trimmed() -> None:
    answer = Answer(0, after=-1)
    assert len(answer.pick(Batch(0, turn(0, ["one"])))) == 1
    assert answer.pick(Batch(9, [b'{"type":"later"}'])) == []
    assert answer.trimmed


def test_a_jump_before_the_turn_does_no_harm() -> None:
    answer = Answer(5, after=2)
    assert answer.pick(Batch(20, [*turn(5, ["mine"]), complete(5)])) == [b'{"type":"mine"}']
    assert not answer.trimmed


@pytest.mark.parametrize("consumed", [True, False])
def test_a_message_that_another_turn_took_in_ends_with_that_turn(consumed: bool) -> None:
    answer = Answer(6, after=2)
    headers = {"in": 5, "outcome": "completed", **({"consumed": [6]} if consumed else {})}
    records = [*turn(5, ["not mine"]), control("turn-complete", headers)]
    assert answer.pick(Batch(3, records)) == []
    assert answer.done == consumed
    assert answer.headers == (headers if consumed else {})


def test_a_message_that_was_cancelled_ends() -> None:
    answer = Answer(6, after=2)
    assert answer.pick(Batch(3, [control("message-cancelled", {"in": 7})])) == []
    assert not answer.done
    assert answer.pick(Batch(4, [control("message-cancelled", {"in": 6})])) == []
    assert answer.done
    assert not answer.trimmed
