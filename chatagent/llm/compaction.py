"""Compaction: when a conversation grows too long for the model, a summary takes the place of what it sums up. Pure.

Only what the model reads is changed; the messages that people see stay, unless the policy says otherwise.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal

from typing_extensions import TypeVar

from chatagent.errors import ConfigError
from chatagent.llm.options import PrepareStep, StepSettings
from chatagent.llm.plan import Message, NextStep
from chatagent.llm.step import Step
from chatagent.llm.wait import settle

C = TypeVar("C", default=Any)

UIMessage = Mapping[str, Any]
#: Between two steps of an answer, or after the last one.
Source = Literal["inner", "outer"]
#: What has the last word on messages that compaction made: messages, and why they are made.
Transform = Callable[[list[dict[str, Any]], Literal["compaction-result"]], Awaitable[list[dict[str, Any]]]]

#: `step_number` between two turns.
OUTER_STEP = -1
#: Opens the message that stands for what was summed up.
SUMMARY_HEADING = "Summary of the conversation so far:"


@dataclass(frozen=True, kw_only=True)
class _Facts(Generic[C]):
    """A conversation that may be too long."""

    #: What the model has read and said, without the system prompt.
    messages: Sequence[Message]
    #: Of the last model call, in the AI SDK's names: its `inputTokens` are the length of the conversation.
    usage: Mapping[str, Any] = field(default_factory=dict)
    #: Of the chat so far.
    total_usage: Mapping[str, Any] = field(default_factory=dict)
    chat_id: str = ""
    turn: int = 0
    client_data: C | None = None
    source: Source = "inner"
    step_number: int = OUTER_STEP

    @property
    def total_tokens(self) -> int | None:
        """Tokens of the last model call; None when the provider does not tell."""
        return self.usage.get("totalTokens")

    @property
    def input_tokens(self) -> int | None:
        """Tokens that the last model call read."""
        return self.usage.get("inputTokens")

    @property
    def output_tokens(self) -> int | None:
        """Tokens that the last model call wrote."""
        return self.usage.get("outputTokens")


@dataclass(frozen=True, kw_only=True)
class ShouldCompact(_Facts[C]):
    """Asked where a compaction is possible: is it time?"""

    #: The steps of the answer so far.
    steps: Sequence[Step] = ()


@dataclass(frozen=True, kw_only=True)
class Summarize(_Facts[C]):
    """A conversation to be summed up."""


@dataclass(frozen=True, kw_only=True)
class CompactMessages(_Facts[C]):
    """A conversation that was summed up; what is to stay of it?"""

    summary: str
    #: The conversation as people see it; empty between two steps.
    ui_messages: Sequence[UIMessage] = ()


@dataclass(frozen=True, kw_only=True)
class Compaction(Generic[C]):
    """When and how a conversation is summed up. Each may be a plain function or an `async def`.

    `compact_model_messages` says what the model reads from then on: by default the summary as a user's message, and
    the question that waits for its answer or is being answered. `compact_ui_messages` may change what people see,
    between turns only.
    """

    should_compact: Callable[[ShouldCompact[C]], bool | Awaitable[bool]]
    summarize: Callable[[Summarize[C]], str | Awaitable[str]]
    compact_ui_messages: Callable[[CompactMessages[C]], Sequence[UIMessage] | Awaitable[Sequence[UIMessage]]] | None = (
        None
    )
    compact_model_messages: Callable[[CompactMessages[C]], Sequence[Message] | Awaitable[Sequence[Message]]] | None = (
        None
    )


@dataclass(frozen=True, kw_only=True)
class CompactionResult:
    """What a compaction made of a conversation."""

    summary: str
    #: What the model reads from now on.
    messages: list[dict[str, Any]]
    #: What people see from now on; None leaves it as it is.
    ui_messages: list[dict[str, Any]] | None
    #: How many model messages there were.
    message_count: int


async def compact(
    policy: Compaction[C],
    event: ShouldCompact[C],
    *,
    ui_messages: Sequence[UIMessage] = (),
    transform: Transform | None = None,
    force: bool = False,
) -> CompactionResult | None:
    """Sum the conversation up if the policy wants it; None when it does not, or while a tool call has no answer.

    `ui_messages` are given between turns. `force` does not ask `should_compact`. Raises: what the policy raises.
    """
    if not event.messages or not is_compaction_safe(event.messages):
        return None
    if not force and not await settle(policy.should_compact(event)):
        return None
    facts = {name: getattr(event, name) for name in _FACTS}
    summary = await settle(policy.summarize(Summarize(**facts)))
    if not isinstance(summary, str):
        raise ConfigError(f"summarize must return the summary as text, not {summary!r}")
    compacted = CompactMessages(**facts, summary=summary, ui_messages=ui_messages)
    kept: Sequence[Message]
    if policy.compact_model_messages is not None:
        kept = await settle(policy.compact_model_messages(compacted))
    else:
        kept = [summary_message(summary), *unanswered(event.messages)]
    messages = [dict(message) for message in kept]
    shown: Sequence[UIMessage] | None = None
    if policy.compact_ui_messages is not None and event.source == "outer":
        shown = await settle(policy.compact_ui_messages(compacted))
    return CompactionResult(
        summary=summary,
        messages=await transform(messages, "compaction-result") if transform is not None else messages,
        ui_messages=None if shown is None else [dict(message) for message in shown],
        message_count=len(event.messages),
    )


async def compact_if_needed(
    policy: Compaction[C],
    messages: Sequence[Message],
    *,
    usage: Mapping[str, Any],
    transform: Transform | None = None,
    **facts: Any,
) -> list[dict[str, Any]]:
    """The conversation, summed up if the policy wants it; for loops of one's own.

    `usage` is that of the last model call; `facts` are further fields of `ShouldCompact`.
    """
    event: ShouldCompact[C] = ShouldCompact(messages=messages, usage=usage, **{"source": "outer", **facts})
    result = await compact(policy, event, transform=transform)
    return result.messages if result is not None else [dict(message) for message in messages]


def compaction_step(policy: Compaction[Any], **facts: Any) -> PrepareStep:
    """A `prepare_step` that compacts between the steps of one answer, for agents without a `Compaction` of their own.

    `facts` are further fields of `ShouldCompact`. Make a new one for every answer.
    """
    head: list[Message] = []
    through = 0

    async def prepare(step: NextStep) -> StepSettings | None:
        nonlocal head, through
        messages = [*head, *step.messages[through:]]
        known = {"usage": step.last_usage.to_dict(), "total_usage": step.usage.to_dict(), **facts}
        event = ShouldCompact[Any](messages=messages, steps=step.steps, step_number=step.number, **known)
        result = await compact(policy, event)
        if result is not None:
            messages = [*result.messages]
            head, through = messages, len(step.messages)
        return {"messages": messages} if through else None

    return prepare


def more_tokens_than(count: int) -> Callable[[ShouldCompact[Any]], bool]:
    """For `should_compact`: true once the last model call took more than `count` tokens, read and written."""
    return lambda event: (event.total_tokens or 0) > count


def summary_message(summary: str) -> dict[str, Any]:
    """The message that stands for what was summed up. A user's: some providers want one first, and none in between."""
    return {"role": "user", "content": f"{SUMMARY_HEADING}\n\n{summary}"}


def keep_last(messages: Sequence[Message], count: int) -> list[Message]:
    """The last `count` messages, and as many before them as it takes to keep calls and their answers together."""
    begin = max(0, len(messages) - count)
    while 0 < begin < len(messages) and messages[begin].get("role") == "tool":
        begin -= 1
    return list(messages[begin:])


def unanswered(messages: Sequence[Message]) -> list[Message]:
    """The user's messages at the end, which nobody has answered, or which steps that end with tools work on."""
    end = len(messages)
    while end > 0 and (messages[end - 1].get("role") == "tool" or messages[end - 1].get("tool_calls")):
        end -= 1
    begin = end
    while begin > 0 and messages[begin - 1].get("role") == "user":
        begin -= 1
    return [message for message in messages[begin:end] if not _is_summary(message)]


def is_compaction_safe(messages: Sequence[Message]) -> bool:
    """Whether nothing would be torn apart: every tool call has its answer behind it, and every answer its call."""
    open_calls: set[str] = set()
    for message in messages:
        if message.get("role") == "tool":
            call_id = message.get("tool_call_id")
            if call_id not in open_calls:
                return False
            open_calls.discard(call_id)
            continue
        if open_calls:
            return False
        open_calls = {call["id"] for call in message.get("tool_calls") or ()}
    return not open_calls


def _is_summary(message: Message) -> bool:
    return str(message.get("content")).startswith(SUMMARY_HEADING)


_FACTS = ("messages", "usage", "total_usage", "chat_id", "turn", "client_data", "source", "step_number")
