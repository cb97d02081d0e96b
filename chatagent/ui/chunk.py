"""Chunks of the UI message stream: which there are, and what clients accept (`uiMessageChunkSchema`, reference §2).

Of ai 5.0.277, 6.0.326 and 7.0.173. A client that gets one chunk that it refuses ends its stream with an error, so what
is written is checked first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chatagent.errors import BadRequest
from chatagent.ui.encode import without_nulls

Chunk = dict[str, Any]

#: Finish reasons that every generation knows.
FINISH_REASONS = ("stop", "length", "content-filter", "tool-calls", "error", "other")
_REASONS = {5: (*FINISH_REASONS, "unknown"), 6: FINISH_REASONS, 7: (*FINISH_REASONS, "interrupted")}
#: What OpenAI calls them.
_PROVIDER_REASONS = {"tool_calls": "tool-calls", "function_call": "tool-calls", "content_filter": "content-filter"}

_DATA_PART = ("type", "id", "data")

#: Says what is wrong with a value, or None.
Check = Callable[[Any, int], str | None]


@dataclass(frozen=True, slots=True)
class _Field:
    check: Check
    required: bool = False
    #: First generation that looks at it; older ones let anything pass.
    since: int = 5


def finish_reason(reason: str | None) -> str:
    """A provider's finish reason in the stream's words (OpenAI says `tool_calls`, …)."""
    found = _PROVIDER_REASONS.get(reason or "", reason or "other")
    return found if found in FINISH_REASONS else "other"


def tidy_chunk(chunk: Mapping[str, Any]) -> Chunk:
    """A chunk of an author as all clients keep it.

    None in an optional field is left out, of a data part all but its id and data, and a finish reason is said in the
    stream's words.
    """
    if _is_plain_delta(chunk):
        return dict(chunk)
    kind = chunk.get("type")
    kept = without_nulls(chunk)
    if isinstance(kind, str) and kind.startswith("data-"):
        # Clients would take the chunk for the part, with whatever else is in it; the portable stream could not say it.
        return {name: value for name, value in kept.items() if name in _DATA_PART or (name == "transient" and value)}
    if kind == "finish" and isinstance(reason := kept.get("finishReason"), str) and reason not in _REASONS[7]:
        kept["finishReason"] = finish_reason(reason)
    return kept


def validate_chunk(chunk: Any, *, major: int = 7) -> None:
    """Check that clients of generation `major` accept `chunk`: one bad chunk ends their stream.

    Raises: BadRequest that names the field.
    """
    if _is_plain_delta(chunk):
        return
    if not isinstance(chunk, dict) or not isinstance(chunk.get("type"), str):
        raise BadRequest("a chunk is a dict with a `type`")
    kind: str = chunk["type"]
    fields = _DATA if kind.startswith("data-") else _CHUNKS.get(kind)
    if fields is None:
        raise BadRequest("there is no such chunk", field=kind)
    if _SINCE.get(kind, 5) > major:
        raise BadRequest(f"clients of ai {major} do not know it", field=kind)
    for name, field in fields.items():
        reason = _fault(chunk, name, field, major)
        if reason:
            raise BadRequest(reason, field=f"{kind}.{name}")


def _is_plain_delta(chunk: Any) -> bool:
    """The chunks that come a hundred times as often as any other."""
    return (
        type(chunk) is dict
        and len(chunk) == 3
        and chunk.get("type") in ("text-delta", "reasoning-delta")
        and type(chunk.get("delta")) is str
        and type(chunk.get("id")) is str
    )


def _fault(holder: Mapping[str, Any], name: str, field: _Field, major: int) -> str | None:
    if field.since > major:
        return None
    if name not in holder:
        return "is missing" if field.required else None
    value = holder[name]
    if value is None and not field.required and field.check is not _anything:
        return "is null; leave it out"
    return field.check(value, major)


def _anything(value: Any, major: int) -> str | None:
    return None


def _text(value: Any, major: int) -> str | None:
    return None if isinstance(value, str) else f"must be a string, not {type(value).__name__}"


def _flag(value: Any, major: int) -> str | None:
    return None if isinstance(value, bool) else f"must be true or false, not {type(value).__name__}"


def _object(value: Any, major: int) -> str | None:
    return None if _is_object(value) else f"must be an object with string keys, not {type(value).__name__}"


def _place(value: Any, major: int) -> str | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 and value == value // 1
    return None if good else "must be a whole number from 0"


def _provider_metadata(value: Any, major: int) -> str | None:
    if _is_object(value) and all(_is_object(inner) for inner in value.values()):
        return None
    return "must be {provider: {key: value}}"


def _provider_reference(value: Any, major: int) -> str | None:
    if _is_object(value) and all(isinstance(inner, str) for inner in value.values()):
        return None
    return "must be {provider: id}"


def _reason(value: Any, major: int) -> str | None:
    known = _REASONS[major]
    return None if value in known else f"{value!r:.80} is none of {', '.join(known)}"


def _encoding(value: Any, major: int) -> str | None:
    return None if value in ("json", "text") else "must be 'json' or 'text'"


def _citations(value: Any, major: int) -> str | None:
    return _each(value, major, lambda item: _CITATION)


def _source(value: Any, major: int) -> str | None:
    kind = value.get("sourceType") if isinstance(value, Mapping) else None
    fields = _CITED.get(kind) if isinstance(kind, str) else None
    if fields is None or value.get("type") != "source":
        return "must be a source with sourceType 'url' or 'document'"
    return _faults(value, fields, major)


def _steering_parts(value: Any, major: int) -> str | None:
    return _each(value, major, lambda part: _STEERING.get(str(part.get("type")), {"type": _Field(_unknown_part, True)}))


def _unknown_part(value: Any, major: int) -> str | None:
    return "must be 'text' or 'file'"


def _each(value: Any, major: int, fields: Callable[[Mapping[str, Any]], dict[str, _Field]]) -> str | None:
    if not isinstance(value, list | tuple) or not all(isinstance(item, Mapping) for item in value):
        return "must be a list of objects"
    return next((fault for item in value if (fault := _faults(item, fields(item), major))), None)


def _faults(holder: Mapping[str, Any], fields: dict[str, _Field], major: int) -> str | None:
    for name, field in fields.items():
        fault = _fault(holder, name, field, major)
        if fault:
            return f"{name} {fault}"
    return None


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)


_STR = _Field(_text, required=True)
_STR_OR_NOT = _Field(_text)
_FLAG = _Field(_flag)
_ANY = _Field(_anything)
_META = _Field(_provider_metadata)
_META_6 = _Field(_provider_metadata, since=6)
_TOOL_META = _Field(_object, since=6)
_TITLE_6 = _Field(_text, since=6)

_ID = {"id": _STR, "providerMetadata": _META}
_DELTA = {"id": _STR, "delta": _STR, "providerMetadata": _META}
_FILE = {"url": _STR, "mediaType": _STR, "providerMetadata": _META}
_SOURCE_DOCUMENT = {"mediaType": _STR, "title": _STR, "filename": _STR_OR_NOT, "providerMetadata": _META}
_SOURCE_URL = {"url": _STR, "title": _STR_OR_NOT, "providerMetadata": _META}
_CALL = {"toolCallId": _STR, "providerExecuted": _FLAG, "dynamic": _FLAG}
_INPUT = _CALL | {"toolName": _STR, "title": _TITLE_6, "toolMetadata": _TOOL_META}
_OUTPUT = _CALL | {"providerMetadata": _META_6, "toolMetadata": _TOOL_META}
_CITED = {"url": {"id": _STR, **_SOURCE_URL}, "document": {"id": _STR, **_SOURCE_DOCUMENT}}
_CITATION = {
    "source": _Field(_source, required=True),
    "startIndex": _Field(_place),
    "endIndex": _Field(_place),
    "citedText": _STR_OR_NOT,
}
_STEERING = {
    "text": {"text": _STR, "providerMetadata": _META},
    "file": _FILE | {"filename": _STR_OR_NOT, "providerReference": _Field(_provider_reference)},
}
_DATA = {"id": _STR_OR_NOT, "data": _ANY, "transient": _FLAG}

#: First generation that knows the type, where that is not 5.
_SINCE = {
    "tool-approval-request": 6,
    "tool-output-denied": 6,
    "tool-approval-response": 7,
    "custom": 7,
    "reasoning-file": 7,
    "steering-message": 7,
    "reset-step": 7,
}
_CHUNKS: dict[str, dict[str, _Field]] = {
    "start": {"messageId": _STR_OR_NOT, "messageMetadata": _ANY},
    "finish": {"finishReason": _Field(_reason), "messageMetadata": _ANY},
    "abort": {"reason": _Field(_text, since=6)},
    "error": {"errorText": _STR},
    "message-metadata": {"messageMetadata": _ANY},
    "start-step": {},
    "finish-step": {},
    "reset-step": {},
    "text-start": _ID,
    "text-delta": _DELTA,
    "text-end": _ID | {"citations": _Field(_citations, since=7)},
    "reasoning-start": _ID,
    "reasoning-delta": _DELTA,
    "reasoning-end": _ID,
    "file": _FILE,
    "reasoning-file": _FILE,
    "source-url": {"sourceId": _STR, **_SOURCE_URL},
    "source-document": {"sourceId": _STR, **_SOURCE_DOCUMENT},
    "custom": {"kind": _STR, "providerMetadata": _META},
    "steering-message": {"id": _STR, "parts": _Field(_steering_parts, required=True)},
    "tool-input-start": _INPUT | {"inputEncoding": _Field(_encoding, since=6), "providerMetadata": _META_6},
    "tool-input-delta": {"toolCallId": _STR, "inputTextDelta": _STR},
    "tool-input-available": _INPUT | {"providerMetadata": _META},
    "tool-input-error": _INPUT | {"errorText": _STR, "providerMetadata": _META},
    "tool-output-available": _OUTPUT | {"preliminary": _FLAG},
    "tool-output-error": _OUTPUT | {"errorText": _STR},
    "tool-output-denied": {"toolCallId": _STR},
    "tool-approval-request": {
        "approvalId": _STR,
        "toolCallId": _STR,
        "approvalDescriptor": _ANY,
        "inputSchemaInput": _ANY,
        "signature": _STR_OR_NOT,
        "reason": _Field(_text, since=7),
        "isAutomatic": _Field(_flag, since=7),
    },
    "tool-approval-response": {
        "approvalId": _STR,
        "approved": _Field(_flag, required=True),
        "reason": _STR_OR_NOT,
        "providerExecuted": _FLAG,
        "providerMetadata": _META,
    },
}
