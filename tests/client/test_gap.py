"""What was missed of an answer, worked out from another telling of it; and bytes cut anywhere."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatagent.client.event import Events
from chatagent.client.gap import Replay, rest
from chatagent.client.wire import TextReader
from chatagent.errors import ChatAgentError
from chatagent.ui import Fold, fold_message, message_to_chunks, replay
from tests.client.test_cut import TURN

Chunk = dict[str, Any]

#: A worker died in the second step, and another one did it again.
_AT = TURN.index({"type": "text-start", "id": "t1"})
_DEAD = [TURN[_AT], *[{"type": "text-delta", "id": "t1", "delta": f"dead{at} "} for at in range(5)]]
REDONE: list[Chunk] = [*TURN[:_AT], *_DEAD, {"type": "reset-step"}, *TURN[_AT:]]


def seen(chunks: list[Chunk]) -> Fold:
    fold = Fold()
    for chunk in copy.deepcopy(chunks):
        fold.add(chunk)
    return fold


def heal(fold: Fold, told: dict[str, Any]) -> dict[str, Any]:
    """The message after what `rest` found."""
    missing = rest(fold, told)
    assert missing is not None
    for chunk in missing:
        fold.add(chunk)
    return {**fold.message, "id": told["id"]}


@pytest.mark.parametrize("chunks", [TURN, REDONE], ids=["plain", "redone"])
def test_from_any_point_of_an_answer_the_stored_message_is_reached(chunks: list[Chunk]) -> None:
    told = fold_message(chunks)
    for at in range(len(chunks) + 1):
        assert heal(seen(chunks[:at]), told) == told, f"after {at} chunks"


@given(st.lists(st.text(min_size=1), min_size=1), st.integers(0, 100))
def test_no_text_is_lost_or_repeated(words: list[str], at: int) -> None:
    deltas = [{"type": "text-delta", "id": "t", "delta": word} for word in words]
    chunks = [{"type": "start", "messageId": "a"}, {"type": "text-start", "id": "t"}, *deltas]
    told = fold_message([*chunks, {"type": "text-end", "id": "t"}])
    missing = rest(seen(chunks[:at]), told) or []
    given_before = "".join(chunk.get("delta", "") for chunk in chunks[:at])
    assert given_before + "".join(chunk.get("delta", "") for chunk in missing) == told["parts"][0]["text"]


def test_what_cannot_be_told_is_said_to_be_so() -> None:
    other = {"id": "a1", "role": "assistant", "parts": [{"type": "text", "text": "something else", "state": "done"}]}
    assert rest(seen(TURN), other) is None


def test_a_replay_of_the_same_stream_is_passed_over_by_count() -> None:
    for at in range(len(TURN)):
        again = Replay(TURN[:at], again=True, behind_prefix=False)
        assert [chunk for chunk in TURN if again.take(chunk)] == TURN[at:]
        assert not again.other()


def test_parts_that_are_told_under_new_names_keep_their_old_ones() -> None:
    message = fold_message(TURN)
    first, second = message_to_chunks(message), message_to_chunks(message)
    again = Replay(first[:-2], again=False, behind_prefix=False)
    for chunk in second[: len(first) - 2]:
        assert not again.take(chunk)
    assert again.caught_up
    texts = {new: old for new, old in again.renamed.items() if new is not None}
    assert set(texts.values()) <= {chunk.get("id") for chunk in first}


def test_a_telling_without_the_dead_step_is_not_the_same_stream() -> None:
    again = Replay(REDONE[: _AT + 4], again=True, behind_prefix=False)
    assert not any(again.take(chunk) for chunk in replay(REDONE))
    assert not again.caught_up and not again.other()


def test_the_answer_of_another_turn_is_known_by_its_id() -> None:
    again = Replay(TURN[:3], again=True, behind_prefix=False)
    again.take({"type": "start", "messageId": "another"})
    assert again.other()


@given(st.lists(st.integers(1, 12)), st.booleans())
def test_events_are_the_same_wherever_their_bytes_are_cut(sizes: list[int], crlf: bool) -> None:
    stream = (
        b': open\n\ndata: {"type":"start"}\n\ndata:x\n\n: keep-alive\n\nid: 7\ndata: a\ndata: b\n\ndata: [DONE]\n\n'
    )
    stream = stream.replace(b"\n", b"\r\n") if crlf else stream
    events, found, at = Events(), list[bytes](), 0
    for size in [*sizes, len(stream)]:
        found += events.feed(stream[at : at + size])
        at += size
    assert found == [b'{"type":"start"}', b"x", b"a\nb", b"[DONE]"]


def test_a_character_that_is_split_over_two_deltas_comes_whole() -> None:
    reader = TextReader()
    deltas = ("a\ud83d", "\ude00b", "c")
    assert [reader.read({"type": "text-delta", "delta": delta}) for delta in deltas] == ["a", "\U0001f600b", "c"]
    with pytest.raises(ChatAgentError, match="no luck"):
        reader.read({"type": "error", "errorText": "no luck"})
