"""An agent that keeps its own rows with SQLAlchemy: SQLite, or PostgreSQL by CHATAGENT_EXAMPLE_DATABASE_URL."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from pydantic import BaseModel
from sqlalchemy import JSON, ForeignKey, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from chatagent import ai, chat, step_count_is, stream_text, tool
from chatagent.llm import StreamTextResult


class Client(BaseModel):
    user_id: str = "guest"


class Row(DeclarativeBase): ...


class ChatRow(Row):
    __tablename__ = "chats"
    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(index=True)
    last_event_id: Mapped[str | None]


class TurnRow(Row):
    __tablename__ = "turns"
    chat_id: Mapped[str] = mapped_column(ForeignKey(ChatRow.id), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    messages: Mapped[list[dict[str, object]]] = mapped_column(JSON)
    status: Mapped[str]
    tokens: Mapped[int] = mapped_column(default=0)


class NoteRow(Row):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(index=True)
    text: Mapped[str]


@cache
def database() -> async_sessionmaker[AsyncSession]:
    """The database of this process, opened when it is first needed: importing an agent does nothing."""
    folder = Path(os.environ.get("CHATAGENT_DATA_DIR", ".chatagent")).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    url = os.environ.get("CHATAGENT_EXAMPLE_DATABASE_URL") or f"sqlite+aiosqlite:///{folder}/notebook.db"
    url = url.replace("postgresql://", "postgresql+asyncpg://", 1)
    return async_sessionmaker(create_async_engine(url))


@tool
async def write_down(note: str) -> str:
    """Write a note into the user's notebook."""
    async with database().begin() as db:
        db.add(NoteRow(user_id=ai.chat_context_or_raise(notebook).client_data.user_id, text=note))
    return f"noted: {note}"


@tool
async def read_notebook() -> list[str]:
    """Read the user's notebook."""
    user_id = ai.chat_context_or_raise(notebook).client_data.user_id
    async with database().begin() as db:
        return list(await db.scalars(select(NoteRow.text).where(NoteRow.user_id == user_id).order_by(NoteRow.id)))


@chat.agent(
    "notebook",
    client_data=Client,
    tools=[write_down, read_notebook],
    examples=['Write down "buy milk".', "What is in my notebook?"],
)
async def notebook(turn: chat.Turn[Client]) -> StreamTextResult:
    """Keeps notes, and its chats and turns, in rows of its own."""
    return stream_text(turn.model, turn.messages, stop_when=step_count_is(5))


@notebook.on_boot
async def make_tables(event: chat.Boot[Client]) -> None:
    """Make what is missing. A real deployment has migrations for this."""
    for tries_left in reversed(range(8)):
        try:
            async with database().begin() as db:
                await (await db.connection()).run_sync(Row.metadata.create_all)
            return
        except DBAPIError:
            if not tries_left:  # until then, another worker may have made one at the same moment
                raise


@notebook.on_chat_start
async def add_chat(event: chat.ChatStart[Client]) -> None:
    async with database().begin() as db:
        await db.merge(ChatRow(id=event.chat_id, user_id=event.client_data.user_id))


@notebook.on_turn_start
async def add_turn(event: chat.TurnStart[Client]) -> None:
    """Keep the question before the answer is tried; after a crash the row is there already."""
    asked = event.ui_messages[-1:]
    async with database().begin() as db:
        await db.merge(TurnRow(chat_id=event.chat_id, number=event.turn, messages=asked, status="running"))


@notebook.on_turn_complete
async def finish_turn(event: chat.TurnComplete[Client]) -> None:
    status = "failed" if event.error else "stopped" if event.stopped else "done"
    done = TurnRow(chat_id=event.chat_id, number=event.turn, messages=event.new_ui_messages, status=status)
    done.tokens = event.usage.get("totalTokens", 0)
    async with database().begin() as db:
        await db.merge(done)
        await db.merge(ChatRow(id=event.chat_id, last_event_id=event.last_event_id))
