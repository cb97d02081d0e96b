"""An agent that asks people: some calls wait for a yes, and one question is answered by the person in the chat.

Both may take days: the chat sleeps in Redis meanwhile, and each answer is taken once however often it is sent.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from chatagent import chat, client_tool, step_count_is, stream_text, tool
from chatagent.llm import StreamTextResult

#: Refunds up to this need nobody's yes.
FREE_EUROS = 20.0


class Client(BaseModel):
    """Who is writing; supervisors need no second pair of eyes."""

    name: str = "guest"
    role: Literal["clerk", "supervisor"] = "clerk"


class Refund(BaseModel):
    order: str
    euros: float
    granted_by: str


def too_much(given: BaseModel) -> bool:
    """Whether a refund must be approved."""
    client: Client = chat.current_turn().client_data
    return client.role != "supervisor" and getattr(given, "euros", 0) > FREE_EUROS


@tool(needs_approval=too_much, title="Refund an order")
async def refund(order: str, euros: float) -> Refund:
    """Pay money back for an order."""
    client: Client = chat.current_turn().client_data
    return Refund(order=order, euros=euros, granted_by=client.name)


@client_tool(title="Ask the customer")
def ask_reason(question: str, options: list[str]) -> str:
    """Ask for the reason of a complaint; the page shows the options and answers with one of them."""
    raise NotImplementedError


@chat.agent(
    "approval",
    client_data=Client,
    tools=[refund, ask_reason],
    examples=['Refund 75 euros for "order 1001".', 'Refund 5 euros for "order 1002".', "Ask for the reason."],
)
async def approval(turn: chat.Turn[Client]) -> StreamTextResult:
    """Asks before it pays, and asks the customer."""
    system = f"You help {turn.client_data.name}, a {turn.client_data.role}. Ask for the reason before you refund."
    return stream_text(turn.model, turn.messages, system=system, stop_when=step_count_is(6))
