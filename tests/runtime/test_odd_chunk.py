"""Chunks that are too long, cannot be said in JSON, or are written as Python people write them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chatagent import chat
from chatagent.ui import encode, fold_message
from tests.runtime.world import World, live, text_of

#: More than one record may hold, even without escapes.
_LONG = 1_100_000


@pytest.mark.parametrize(
    "deltas",
    [["x" * _LONG], ["\x00é\U0001f600" * (_LONG // 4)], ["y" * 100_000] * 16],
    ids=["one", "escapes", "many that wait"],
)
def test_text_of_any_length_is_streamed_in_records_of_bounded_size(redis_url: str, deltas: list[str]) -> None:
    @chat.agent("long")
    async def long(turn: chat.Turn[Any]) -> Any:
        # Without a pause between them, so that they wait for each other.
        for delta in deltas if turn.number == 0 else ["short"]:
            await chat.pipe(delta)

    async def test(world: World) -> None:
        session = world.chat(long)
        async with world.engine(long) as engine:
            assert await world.turn(engine, session) == "completed"
            chunks = world.chunks(session)
            assert max(len(encode(chunk)) for chunk in chunks) <= 1024 * 1024
            assert fold_message(chunks) == world.history(session)[-1]
            assert await world.turn(engine, session, "and now?", "u2") == "completed"
        assert text_of(world.history(session)) == ["hi", "".join(deltas), "and now?", "short"]

    live(redis_url, test)


@pytest.mark.parametrize(
    "unsendable",
    [{"type": "data-x", "data": "x" * _LONG}, {"type": "data-x", "data": float("nan")}, {"type": "file", "url": None}],
    ids=["too large", "no JSON", "a field is missing"],
)
def test_what_cannot_be_sent_is_not_stored_and_ends_the_turn(redis_url: str, unsendable: dict[str, Any]) -> None:
    @chat.agent("odd")
    async def odd(turn: chat.Turn[Any]) -> Any:
        def stream() -> Iterator[Any]:
            yield "before"
            yield unsendable

        return stream() if turn.number == 0 else "after"

    async def test(world: World) -> None:
        session = world.chat(odd)
        async with world.engine(odd) as engine:
            assert await world.turn(engine, session) == "failed"
            assert [part["type"] for part in world.history(session)[-1]["parts"]] == ["step-start", "text"]
            assert fold_message(world.chunks(session)) == world.history(session)[-1]
            assert await world.turn(engine, session, "and now?", "u2") == "completed"
        assert text_of(world.history(session)) == ["hi", "before", "and now?", "after"]

    live(redis_url, test)


def test_chunks_are_stored_as_every_client_keeps_them(redis_url: str) -> None:
    @chat.agent("loose")
    async def loose(turn: chat.Turn[Any]) -> Any:
        def stream() -> Iterator[Any]:
            yield {"type": "source-url", "sourceId": "s", "url": "https://example.org/", "title": None}
            yield {"type": "data-x", "id": None, "data": None, "label": "not kept", "transient": False}
            yield {"type": "finish", "finishReason": "tool_calls", "messageMetadata": None}

        return stream()

    async def test(world: World) -> None:
        session = world.chat(loose)
        async with world.engine(loose) as engine:
            assert await world.turn(engine, session) == "completed"
        chunks, message = world.chunks(session), world.history(session)[-1]
        assert chunks[-1] == {"type": "finish", "finishReason": "tool-calls"}
        assert message["parts"] == [
            {"type": "source-url", "sourceId": "s", "url": "https://example.org/"},
            {"type": "data-x", "data": None},
        ]
        assert fold_message(chunks) == message

    live(redis_url, test)
