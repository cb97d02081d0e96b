from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from tests.runtime.fleet import Fleet, fleet
from workers.agents.notebook import ChatRow, NoteRow, Row, TurnRow, database, notebook


@pytest.fixture(params=["sqlite", "postgresql"])
def rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A database without tables; gives its kind."""
    monkeypatch.setenv("CHATAGENT_DATA_DIR", str(tmp_path))
    if request.param == "postgresql":
        monkeypatch.setenv("CHATAGENT_EXAMPLE_DATABASE_URL", request.getfixturevalue("postgres_url"))
    database.cache_clear()
    yield request.param
    database.cache_clear()


@asynccontextmanager
async def opened() -> AsyncIterator[None]:
    """Drops what a test has made."""
    try:
        yield
    finally:
        async with database().begin() as db:
            await (await db.connection()).run_sync(Row.metadata.drop_all)
        await database().kw["bind"].dispose()


def test_chats_turns_and_notes_are_rows_of_the_authors_own(
    redis_url: str, rows: str, model_loop: asyncio.Runner
) -> None:
    async def test(world: Fleet) -> None:
        async with opened(), world.worker(notebook) as engine:
            session = world.chat(notebook)
            for at, text in enumerate(('Write down "buy milk".', "What is in my notebook?")):
                world.say(session, text, f"u{at}", metadata={"user_id": "ada"})
                assert await engine.run_turn("notebook", session.id) == "completed"
            async with database()() as db:
                kept = (await db.scalars(select(ChatRow))).one()
                turns = (await db.scalars(select(TurnRow).order_by(TurnRow.number))).all()
                notes = (await db.scalars(select(NoteRow))).all()
            assert database().kw["bind"].dialect.name == rows
            assert (kept.id, kept.user_id) == ("c1", "ada")
            assert kept.last_event_id is not None
            assert [(note.user_id, note.text) for note in notes] == [("ada", "buy milk")]
            assert [(turn.number, turn.status) for turn in turns] == [(0, "done"), (1, "done")]
            assert all(turn.tokens > 0 for turn in turns)
            assert [message for turn in turns for message in turn.messages] == world.history(session)
            (listed,) = [part for part in turns[1].messages[1]["parts"] if part["type"] == "tool-read_notebook"]  # type: ignore[attr-defined]
            assert listed["output"] == ["buy milk"]

    fleet(redis_url, test, runner=model_loop)


def test_the_question_is_kept_before_it_is_answered(
    redis_url: str, rows: str, model_loop: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, Any]] = []

    async def look(turn: Any) -> str:
        async with database()() as db:
            row = (await db.scalars(select(TurnRow))).one()
            seen.append((row.status, row.messages))
        raise RuntimeError("no answer")

    monkeypatch.setattr(notebook, "run", look)

    async def test(world: Fleet) -> None:
        async with opened(), world.worker(notebook) as engine:
            session = world.chat(notebook)
            world.say(session, "hello")
            assert await engine.run_turn("notebook", session.id) == "failed"
            assert seen == [("running", world.history(session)[:1])]
            async with database()() as db:
                assert (await db.scalars(select(TurnRow.status))).all() == ["failed"]

    fleet(redis_url, test, runner=model_loop)


def test_workers_that_start_at_once_make_the_tables_once(redis_url: str, rows: str, model_loop: asyncio.Runner) -> None:
    async def test(world: Fleet) -> None:
        async with opened(), world.worker(notebook) as engine:
            sessions = [world.chat(notebook, f"c{at}") for at in range(5)]
            for session in sessions:
                world.say(session, "hello")
            ended = [engine.run_turn("notebook", session.id) for session in sessions]
            assert await asyncio.gather(*ended) == ["completed"] * 5

    fleet(redis_url, test, runner=model_loop)
