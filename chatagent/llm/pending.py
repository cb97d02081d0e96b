"""What an earlier turn or a dead attempt left to do: the calls of the response's last step. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chatagent.llm.call import ToolCall
from chatagent.llm.error import ToldError
from chatagent.llm.step import Step, answer_message
from chatagent.llm.tool import Tool

UIMessage = Mapping[str, Any]
Message = dict[str, Any]


def steps_of(response: UIMessage, tools: Mapping[str, Tool]) -> list[Step]:
    """The steps that a UI message already has, as far as it tells; the last one's calls may still be pending."""
    steps: list[Step] = []
    for part in response.get("parts", ()):
        kind = part["type"]
        if kind == "step-start" or not steps:
            steps.append(Step())
        if kind == "text":
            steps[-1].text += part.get("text", "")
        elif kind == "reasoning":
            steps[-1].reasoning += part.get("text", "")
        elif _is_call(part):
            steps[-1].calls.append(_call_of(part, tools))
    return steps


def add_answers(
    messages: Sequence[Mapping[str, Any]], calls: Sequence[ToolCall], fresh: Sequence[ToolCall]
) -> list[Message]:
    """The conversation with the calls of its last step and their answers, in the order of the calls.

    `fresh` are those that were answered just now. Whoever made `messages` may have left these calls out, or given
    them an answer of its own (a denial, a preliminary output).
    """
    found = [dict(message) for message in messages]
    at = _calling_message(found, {call.id for call in calls})
    if at is None:
        found.append({"role": "assistant", "content": None})
        at = len(found) - 1
    told = {each["id"]: each for each in found[at].get("tool_calls") or ()}
    found[at]["tool_calls"] = [told.get(call.id) or call.to_message() for call in calls]
    end = at + 1
    while end < len(found) and found[end].get("role") == "tool":
        end += 1
    known = {message["tool_call_id"]: message for message in found[at + 1 : end]}
    known |= {call.id: answer_message(call) for call in fresh}
    answers = [known.get(call.id) or answer_message(call) for call in calls if call.id in known or call.answered]
    return [*found[: at + 1], *answers, *found[end:]]


def mentions(messages: Iterable[Mapping[str, Any]], calls: Sequence[ToolCall]) -> bool:
    """Whether the conversation has one of these calls."""
    ids = {call.id for call in calls}
    return any(each["id"] in ids for message in messages for each in message.get("tool_calls") or ())


def _is_call(part: Mapping[str, Any]) -> bool:
    """Whether it is a whole call of a tool of ours."""
    if part["type"] != "dynamic-tool" and not part["type"].startswith("tool-"):
        return False
    return part.get("state") != "input-streaming" and not part.get("providerExecuted")


def _calling_message(messages: Sequence[Mapping[str, Any]], ids: set[str]) -> int | None:
    """Where the last step is: the last assistant message, if it has one of its calls or nothing but text."""
    for at in range(len(messages) - 1, -1, -1):
        message = messages[at]
        if message.get("role") == "user":
            return None
        if message.get("role") == "assistant":
            made = {each["id"] for each in message.get("tool_calls") or ()}
            return at if made & ids or not made else None
    return None


def _call_of(part: Mapping[str, Any], tools: Mapping[str, Tool]) -> ToolCall:
    name = part["toolName"] if part["type"] == "dynamic-tool" else part["type"].partition("-")[2]
    call = ToolCall(part["toolCallId"], name, part.get("input"), tools.get(name))
    approval = part.get("approval") or {}
    match part.get("state"):
        case "output-available" if not part.get("preliminary"):
            call.state, call.output = "done", part.get("output")
        case "output-error":
            call.state, call.error = "failed", ToldError(part.get("errorText", ""))
        case "output-denied":
            call.state, call.reason = "denied", approval.get("reason")
        case "approval-responded":
            call.reason = approval.get("reason")
            call.approved = approval.get("approved") is True
        case "approval-requested":
            call.state = "asked"
        case "input-available" if approval.get("approved") is True:
            # It was allowed, and is the client's to answer or was running when a worker died.
            call.approved = True
    return call
