"""Chunks of the UI message stream: which there are, and what clients accept (AI SDK reference §2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chatagent.errors import BadRequest

Chunk = dict[str, Any]

Check = Callable[[Any], bool]
#: Required fields, optional fields, the first generation that knows the chunk.
Rule = tuple[dict[str, Check], dict[str, Check], int]

#: Finish reasons that every generation knows.
FINISH_REASONS = ("stop", "length", "content-filter", "tool-calls", "error", "other")
_REASONS = {5: (*FINISH_REASONS, "unknown"), 6: FINISH_REASONS, 7: (*FINISH_REASONS, "interrupted")}


def _is(*kinds: type) -> Check:
    return lambda value: isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _anything(value: Any) -> bool:
    return True


def _metadata(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(each, dict) for each in value.values())


def _steering_parts(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(part, dict) and part.get("type") in ("text", "file") for part in value
    )


_TEXT, _FLAG, _OBJECT, _LIST = _is(str), _is(bool), _is(dict), _is(list)
_META: dict[str, Check] = {"providerMetadata": _metadata}
_CALL: dict[str, Check] = {"providerExecuted": _FLAG, "dynamic": _FLAG, "toolMetadata": _OBJECT, **_META}

_CHUNKS: dict[str, Rule] = {
    "start": ({}, {"messageId": _TEXT, "messageMetadata": _anything}, 5),
    "finish": ({}, {"messageMetadata": _anything}, 5),
    "abort": ({}, {"reason": _TEXT}, 5),
    "error": ({"errorText": _TEXT}, {}, 5),
    "message-metadata": ({}, {"messageMetadata": _anything}, 5),
    "start-step": ({}, {}, 5),
    "finish-step": ({}, {}, 5),
    "reset-step": ({}, {}, 7),
    "text-start": ({"id": _TEXT}, _META, 5),
    "text-delta": ({"id": _TEXT, "delta": _TEXT}, _META, 5),
    "text-end": ({"id": _TEXT}, {**_META, "citations": _LIST}, 5),
    "reasoning-start": ({"id": _TEXT}, _META, 5),
    "reasoning-delta": ({"id": _TEXT, "delta": _TEXT}, _META, 5),
    "reasoning-end": ({"id": _TEXT}, _META, 5),
    "reasoning-file": ({"url": _TEXT, "mediaType": _TEXT}, _META, 7),
    "file": ({"url": _TEXT, "mediaType": _TEXT}, _META, 5),
    "source-url": ({"sourceId": _TEXT, "url": _TEXT}, {"title": _TEXT, **_META}, 5),
    "source-document": (
        {"sourceId": _TEXT, "mediaType": _TEXT, "title": _TEXT},
        {"filename": _TEXT, **_META},
        5,
    ),
    "custom": ({"kind": _TEXT}, _META, 7),
    "steering-message": ({"id": _TEXT, "parts": _steering_parts}, {}, 7),
    "tool-input-start": (
        {"toolCallId": _TEXT, "toolName": _TEXT},
        {**_CALL, "title": _TEXT, "inputEncoding": lambda value: value in ("json", "text")},
        5,
    ),
    "tool-input-delta": ({"toolCallId": _TEXT, "inputTextDelta": _TEXT}, {}, 5),
    "tool-input-available": (
        {"toolCallId": _TEXT, "toolName": _TEXT},
        {**_CALL, "input": _anything, "title": _TEXT},
        5,
    ),
    "tool-input-error": (
        {"toolCallId": _TEXT, "toolName": _TEXT, "errorText": _TEXT},
        {**_CALL, "input": _anything, "title": _TEXT},
        5,
    ),
    "tool-output-available": ({"toolCallId": _TEXT}, {**_CALL, "output": _anything, "preliminary": _FLAG}, 5),
    "tool-output-error": ({"toolCallId": _TEXT, "errorText": _TEXT}, _CALL, 5),
    "tool-output-denied": ({"toolCallId": _TEXT}, {}, 6),
    "tool-approval-request": (
        {"approvalId": _TEXT, "toolCallId": _TEXT},
        {
            "approvalDescriptor": _anything,
            "inputSchemaInput": _anything,
            "signature": _TEXT,
            "reason": _TEXT,
            "isAutomatic": _FLAG,
        },
        6,
    ),
    "tool-approval-response": (
        {"approvalId": _TEXT, "approved": _FLAG},
        {"reason": _TEXT, "providerExecuted": _FLAG, **_META},
        7,
    ),
}
_DATA: Rule = ({}, {"id": _TEXT, "data": _anything, "transient": _FLAG}, 5)


def finish_reason(reason: str | None) -> str:
    """A provider's finish reason in the stream's words (OpenAI says `tool_calls`, …)."""
    known = {"tool_calls": "tool-calls", "function_call": "tool-calls", "content_filter": "content-filter"}
    found = known.get(reason or "", reason or "other")
    return found if found in FINISH_REASONS else "other"


def _is_plain_delta(chunk: Any) -> bool:
    """The chunk that comes a hundred times as often as any other."""
    return (
        type(chunk) is dict
        and len(chunk) == 3
        and chunk.get("type") == "text-delta"
        and type(chunk.get("delta")) is str
        and type(chunk.get("id")) is str
    )


def validate_chunk(chunk: Any, *, major: int = 7) -> None:
    """Check that clients of generation `major` accept `chunk`: one bad chunk ends their stream.

    Raises: BadRequest that names the field.
    """
    if _is_plain_delta(chunk):
        return
    if not isinstance(chunk, dict) or not isinstance(chunk.get("type"), str):
        raise BadRequest("a chunk is a dict with a `type`")
    name: str = chunk["type"]
    required, optional, since = _DATA if name.startswith("data-") else _CHUNKS.get(name, ({}, {}, 99))
    if since > major:
        known = f"clients of ai {major} do not know it" if since < 99 else "there is no such chunk"
        raise BadRequest(known, field=name)
    for field, check in required.items():
        if not check(chunk.get(field)):
            raise BadRequest(
                f"is missing or not what clients accept: {chunk.get(field)!r:.80}", field=f"{name}.{field}"
            )
    for field, check in optional.items():
        if field in chunk and not check(chunk[field]):
            raise BadRequest(f"is not what clients accept: {chunk[field]!r:.80}", field=f"{name}.{field}")
    if name == "finish" and "finishReason" in chunk and chunk["finishReason"] not in _REASONS[major]:
        raise BadRequest(f"is none of {', '.join(_REASONS[major])}", field="finish.finishReason")
