"""A tool call as the chunks that bring it to its state: the inverse of `tool_call` (AI SDK reference §4.8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chatagent.ui.tool_part import is_dynamic_tool, tool_name

Chunk = dict[str, Any]
Part = dict[str, Any]

_RESULTS = ("output-available", "output-error")
#: States that leave the input and the output as they were.
_ON_TOP = ("approval-requested", "approval-responded", "output-denied")
_APPROVAL = {"descriptor": "approvalDescriptor", "requestReason": "reason"}


def tool_to_chunks(part: Part) -> Iterator[Chunk]:
    """The chunks that make one tool part."""
    state = part.get("state")
    yield from call_to_chunks(part)
    if "resultProviderMetadata" in part and not _has_result(part):
        # The call was made again after it had a result.
        yield _result(part)
        yield from call_to_chunks(part)
    if state in _ON_TOP:
        if _has_result(part):
            yield _result(part)
        yield from _approval(part)
        if state == "output-denied":
            yield {"type": "tool-output-denied", "toolCallId": part["toolCallId"]}
        return
    asked = list(_approval(part))
    yield from asked
    if state in _RESULTS:
        yield _result(part)
    elif asked:
        yield from call_to_chunks(part)


def _has_result(part: Part) -> bool:
    return part.get("state") in _RESULTS or any(name in part for name in ("output", "errorText", "preliminary"))


def call_to_chunks(part: Part) -> Iterator[Chunk]:
    """The call with its input, complete or as far as it came."""
    named = {"toolCallId": part["toolCallId"], "toolName": tool_name(part)}
    shown = _fields(part, "title", "toolMetadata", "providerExecuted") | _dynamic(part)
    if "callProviderMetadata" in part:
        shown["providerMetadata"] = part["callProviderMetadata"]
    if part.get("state") == "input-streaming" or "inputEncoding" in part or isinstance(part.get("rawInput"), str):
        yield {"type": "tool-input-start", **named, **shown, **_fields(part, "inputEncoding")}
        if "rawInput" in part:
            delta = {"inputTextDelta": part["rawInput"]}
            yield {"type": "tool-input-delta", "toolCallId": part["toolCallId"], **delta}
    else:
        yield {"type": "tool-input-available", **named, **_fields(part, "input"), **shown}


def _approval(part: Part) -> Iterator[Chunk]:
    approval = part.get("approval")
    if not approval:
        return
    asked = {"approvalId": approval["id"], "toolCallId": part["toolCallId"]}
    asked |= {name: approval[field] for field, name in _APPROVAL.items() if field in approval}
    yield {
        "type": "tool-approval-request",
        **asked,
        **_fields(approval, "inputSchemaInput", "isAutomatic", "signature"),
    }
    if "approved" in approval:
        answer = {"approvalId": approval["id"], "approved": approval["approved"]}
        yield {"type": "tool-approval-response", **answer, **_fields(approval, "reason")}


def _result(part: Part) -> Chunk:
    shared = {"toolCallId": part["toolCallId"], **_dynamic(part)}
    if "resultProviderMetadata" in part:
        shared["providerMetadata"] = part["resultProviderMetadata"]
    if part.get("state") == "output-error" or "errorText" in part:
        return {"type": "tool-output-error", **shared, "errorText": part.get("errorText", "")}
    return {"type": "tool-output-available", **shared, **_fields(part, "output", "preliminary")}


def _dynamic(part: Part) -> Chunk:
    return {"dynamic": True} if is_dynamic_tool(part) else {}


def _fields(part: Part, *names: str) -> Chunk:
    return {name: part[name] for name in names if name in part}
