"""What an agent asked its model, as a scripted model notes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chatagent.llm.provider import ModelRequest

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One model call."""

    model: str
    #: The system prompt as text; empty without one.
    system: str
    #: In OpenAI's form, without the system prompt.
    messages: list[Message]
    #: Names of the tools on offer.
    tools: list[str]
    tool_choice: Any
    #: What the agent set besides: `temperature`, `api_base`, …
    params: dict[str, Any]
    #: The tools with their schemas, in OpenAI's form.
    definitions: list[dict[str, Any]]

    @property
    def prompt(self) -> str:
        """The text of the last message of the user."""
        return next((text_of(each) for each in reversed(self.messages) if each.get("role") == "user"), "")

    def __str__(self) -> str:
        asked = [f"  {each.get('role')}: {_shown(each)}" for each in self.messages[-4:]]
        tools = f" with tools {', '.join(self.tools)}" if self.tools else ""
        return "\n".join([f"{self.model}, {len(self.messages)} messages{tools}", *asked])


def read_request(request: ModelRequest) -> Request:
    """A request as a test reads it; later changes of the conversation do not show in it."""
    messages = [dict(message) for message in request.messages]
    definitions = [dict(definition) for definition in request.tools]
    return Request(
        model=request.model,
        system="\n\n".join(text_of(each) for each in messages if each.get("role") == "system"),
        messages=[each for each in messages if each.get("role") != "system"],
        tools=[str(each.get("function", {}).get("name")) for each in definitions],
        tool_choice=request.tool_choice,
        params=dict(request.params),
        definitions=definitions,
    )


def text_of(message: Message) -> str:
    """The text of a model message."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in content if part.get("type") == "text")


def _shown(message: Message) -> str:
    calls = [str(call["function"]["name"]) for call in message.get("tool_calls") or ()]
    return f"calls {', '.join(calls)}" if calls else repr(text_of(message))
