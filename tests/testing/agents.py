"""Agents as an author writes them, to be tested as an author does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from chatagent import ai, chat, client_tool, stream_text, task, tool


class Client(BaseModel):
    """Who asks."""

    user_id: str


class Undo(BaseModel):
    """Forget the last question."""

    type: Literal["undo"]


@dataclass
class Customer:
    """A value of the run."""

    name: str


class Database:
    """Something that JSON cannot say."""

    def __init__(self, rows: dict[int, str]) -> None:
        self.rows = rows


customer = chat.local("customer", Customer)
database = chat.local("database", Database)


@tool
async def refund(order: int) -> str:
    """Refund an order."""
    return f"refunded {order}"


@tool(needs_approval=True)
async def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


@client_tool
def locate(why: str) -> str:
    """Where the user is."""
    raise NotImplementedError


@chat.agent("support", tools=[refund, pay, locate], client_data=Client, system="You help.", actions=Undo)
async def support(turn: chat.Turn[Client]) -> Any:
    return stream_text("openai/gpt-4o", turn.messages, temperature=0.5)


@support.on_action
def act(event: chat.Action[Client, Undo]) -> None:
    """Undo the last exchange."""
    chat.history.slice(0, -2)


@chat.agent("shop")
async def shop(turn: chat.Turn[Any]) -> str:
    return f"{customer.name} wants {database.rows[7]}"


@shop.on_boot
def boot(event: chat.Boot[Any]) -> None:
    """Only what nobody has brought."""
    if not database.initialised:
        database.init(Database({7: "the real thing"}))


class Word(BaseModel):
    """A word to look up."""

    word: str


@task("look-up", schema=Word)
async def look_up(asked: Word) -> str:
    """Ask a model about a word."""
    return await stream_text("openai/gpt-4o-mini", [{"role": "user", "content": f"Define {asked.word}."}]).text


@chat.agent("librarian", tools=[ai.tool(look_up)])
async def librarian(turn: chat.Turn[Any]) -> Any:
    return stream_text("openai/gpt-4o", turn.messages)


@chat.agent("desk", tools=[ai.agent_tool(librarian)])
async def desk(turn: chat.Turn[Any]) -> Any:
    return stream_text("openai/gpt-4o", turn.messages)


@chat.custom_agent("counter")
async def counter(payload: chat.ChatTaskPayload) -> None:
    seen = 0
    async for turn in chat.create_session(payload):
        seen += 1
        await turn.complete(f"message {seen}")
