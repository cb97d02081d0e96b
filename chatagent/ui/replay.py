"""Telling a message again: as the chunks that make it (AI SDK reference §4.8), or from a log with dead ends."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import Any

from chatagent.ids import new_id
from chatagent.ui.tool_part import is_tool, tool_name

Chunk = dict[str, Any]
UIMessage = dict[str, Any]
Part = dict[str, Any]


def message_to_chunks(message: UIMessage) -> list[Chunk]:
    """The stream that folds to `message`.

    Not representable, so left out: a file's `filename`.
    """
    start: Chunk = {"type": "start"}
    if message.get("id") is not None:
        start["messageId"] = message["id"]
    if message.get("metadata") is not None:
        start["messageMetadata"] = message["metadata"]
    return [start, *_steps(message.get("parts", ()))]


def replay(chunks: Iterable[Chunk]) -> list[Chunk]:
    """A log without `reset-step` and what it took back: the same message in clients of every generation."""
    kept: list[Chunk] = []
    step: list[Chunk] = []
    for chunk in chunks:
        if chunk["type"] == "reset-step":
            kept += _survivors(step, {_about(each) for each in kept})
            step = []
        elif chunk["type"] == "start-step":
            kept += [*step, chunk]
            step = []
        else:
            step.append(chunk)
    return kept + step


def _survivors(step: Iterable[Chunk], known: Container[tuple[str, Any]]) -> Iterator[Chunk]:
    """Of a step that was taken back, what changed the message outside of it."""
    made: set[tuple[str, Any]] = set()
    for chunk in step:
        kind, about = chunk["type"], _about(chunk)
        if kind in ("start", "message-metadata"):
            yield chunk
        elif kind.startswith("data-"):
            if about in known and chunk.get("id") is not None and not chunk.get("transient"):
                yield chunk
        elif kind.startswith("tool-input-") or kind in ("text-start", "reasoning-start"):
            made.add(about)
        elif about in made:
            if kind == "tool-approval-request":
                made.add(("approval", chunk.get("approvalId")))
        elif kind.startswith(("text-", "reasoning-", "tool-")) and kind != "reasoning-file":
            yield chunk


def _about(chunk: Chunk) -> tuple[str, Any]:
    """What a chunk makes or changes."""
    kind: str = chunk["type"]
    if kind == "tool-approval-response":
        return "approval", chunk.get("approvalId")
    if kind.startswith("tool-"):
        return "tool", chunk.get("toolCallId")
    if kind.startswith(("text-", "reasoning-")):
        return kind.partition("-")[0], chunk.get("id")
    return kind, chunk.get("id")


def _steps(parts: Any) -> Iterator[Chunk]:
    open_step = False
    for part in parts:
        if part["type"] == "step-start":
            if open_step:
                yield {"type": "finish-step"}
            open_step = True
            yield {"type": "start-step"}
        else:
            yield from _chunks(part)
    if open_step:
        yield {"type": "finish-step"}


def _chunks(part: Part) -> Iterator[Chunk]:
    kind = part["type"]
    if kind in ("text", "reasoning"):
        yield from _text(part)
    elif is_tool(part):
        yield from _tool(part)
    elif kind == "file":
        yield _fields(part, "type", "mediaType", "url", "providerMetadata")
    else:
        yield dict(part)


def _text(part: Part) -> Iterator[Chunk]:
    kind = part["type"]
    part_id = part.get("id") or new_id()
    yield {"type": f"{kind}-start", "id": part_id, **_fields(part, "providerMetadata")}
    if part.get("text"):
        yield {"type": f"{kind}-delta", "id": part_id, "delta": part["text"]}
    if part.get("state") != "streaming":
        yield {"type": f"{kind}-end", "id": part_id, **_fields(part, "citations")}


def _tool(part: Part) -> Iterator[Chunk]:
    marks: Chunk = {"toolCallId": part["toolCallId"]}
    dynamic = {"dynamic": True} if part["type"] == "dynamic-tool" else {}
    name = {"toolName": tool_name(part)}
    shown = {**_fields(part, "title", "toolMetadata", "providerExecuted"), **dynamic}
    call_metadata = {"providerMetadata": part["callProviderMetadata"]} if "callProviderMetadata" in part else {}
    state = part.get("state")
    if state == "input-streaming":
        yield {"type": "tool-input-start", **marks, **name, **shown, **call_metadata, **_fields(part, "inputEncoding")}
        if part.get("rawInput"):
            yield {"type": "tool-input-delta", **marks, "inputTextDelta": part["rawInput"]}
        return
    if "rawInput" in part:
        yield {"type": "tool-input-start", **marks, **name, **shown, **call_metadata}
        yield {"type": "tool-input-delta", **marks, "inputTextDelta": part["rawInput"]}
    else:
        yield {
            "type": "tool-input-available",
            **marks,
            **name,
            **_fields(part, "input"),
            **shown,
            **call_metadata,
        }
    yield from _approval(part, marks)
    yield from _output(part, marks, dynamic)


def _approval(part: Part, marks: Chunk) -> Iterator[Chunk]:
    approval = part.get("approval")
    if not approval:
        return
    asked = {"approvalId": approval["id"]}
    given = [("descriptor", "approvalDescriptor"), ("requestReason", "reason")]
    asked |= {name: approval[field] for field, name in given if field in approval}
    asked |= _fields(approval, "signature", "inputSchemaInput", "isAutomatic")
    yield {"type": "tool-approval-request", **marks, **asked}
    if "approved" in approval:
        response = {"approvalId": approval["id"], "approved": approval["approved"]}
        yield {"type": "tool-approval-response", **response, **_fields(approval, "reason")}


def _output(part: Part, marks: Chunk, dynamic: Chunk) -> Iterator[Chunk]:
    result = {"providerMetadata": part["resultProviderMetadata"]} if "resultProviderMetadata" in part else {}
    match part.get("state"):
        case "output-available":
            shown = _fields(part, "output", "preliminary")
            yield {"type": "tool-output-available", **marks, **shown, **dynamic, **result}
        case "output-error":
            error = {"errorText": part.get("errorText", "")}
            yield {"type": "tool-output-error", **marks, **error, **dynamic, **result}
        case "output-denied":
            yield {"type": "tool-output-denied", **marks}


def _fields(part: Part, *names: str) -> Chunk:
    return {name: part[name] for name in names if name in part}
