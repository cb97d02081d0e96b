"""Chunks of the UI message stream as a schema. What each must hold is checked by `chatagent.ui.validate_chunk`."""

from __future__ import annotations

from chatagent.flask.openapi.schema import ANY, BOOLEAN, OBJECT, STRING, Schema, array, obj, one_of, tag
from chatagent.ui import FINISH_REASONS

_META = {"providerMetadata": OBJECT}
_ID = {"id": STRING}
_CALL = {"toolCallId": STRING}
_CALL_NOTES = {"providerExecuted": BOOLEAN, "dynamic": BOOLEAN, "toolMetadata": OBJECT, **_META}
_INPUT = {**_CALL, "toolName": STRING}
_INPUT_NOTES = {**_CALL_NOTES, "title": STRING}
_FILE = {"url": STRING, "mediaType": STRING}
_MESSAGE_META = {"messageMetadata": ANY}
_REASON = one_of((*FINISH_REASONS, "unknown", "interrupted"))

#: By type: what it must hold, and what it may.
_CHUNKS: dict[str, tuple[dict[str, Schema], dict[str, Schema]]] = {
    "start": ({}, {"messageId": STRING, **_MESSAGE_META}),
    "finish": ({}, {"finishReason": _REASON, **_MESSAGE_META}),
    "abort": ({}, {"reason": STRING}),
    "error": ({"errorText": STRING}, {}),
    "message-metadata": ({}, _MESSAGE_META),
    "start-step": ({}, {}),
    "finish-step": ({}, {}),
    "reset-step": ({}, {}),
    "text-start": (_ID, _META),
    "text-delta": ({**_ID, "delta": STRING}, _META),
    "text-end": (_ID, {**_META, "citations": array(OBJECT)}),
    "reasoning-start": (_ID, _META),
    "reasoning-delta": ({**_ID, "delta": STRING}, _META),
    "reasoning-end": (_ID, _META),
    "file": (_FILE, _META),
    "reasoning-file": (_FILE, _META),
    "source-url": ({"sourceId": STRING, "url": STRING}, {"title": STRING, **_META}),
    "source-document": ({"sourceId": STRING, "mediaType": STRING, "title": STRING}, {"filename": STRING, **_META}),
    "custom": ({"kind": STRING}, _META),
    "steering-message": ({**_ID, "parts": array(OBJECT)}, {}),
    "tool-input-start": (_INPUT, {**_INPUT_NOTES, "inputEncoding": one_of(("json", "text"))}),
    "tool-input-delta": ({**_CALL, "inputTextDelta": STRING}, {}),
    "tool-input-available": (_INPUT, {**_INPUT_NOTES, "input": ANY}),
    "tool-input-error": ({**_INPUT, "errorText": STRING}, {**_INPUT_NOTES, "input": ANY}),
    "tool-output-available": (_CALL, {**_CALL_NOTES, "output": ANY, "preliminary": BOOLEAN}),
    "tool-output-error": ({**_CALL, "errorText": STRING}, _CALL_NOTES),
    "tool-output-denied": (_CALL, {}),
    "tool-approval-request": (
        {"approvalId": STRING, **_CALL},
        {"approvalDescriptor": ANY, "inputSchemaInput": ANY, "signature": STRING}
        | {"reason": STRING, "isAutomatic": BOOLEAN},
    ),
    "tool-approval-response": (
        {"approvalId": STRING, "approved": BOOLEAN},
        {"reason": STRING, "providerExecuted": BOOLEAN, **_META},
    ),
}


def chunk_schema() -> Schema:
    """`UIMessageChunk` of the AI SDK."""
    known = [obj({"type": tag(kind), **must}, may) for kind, (must, may) in _CHUNKS.items()]
    data = obj({"type": {"type": "string", "pattern": "^data-"}}, {"id": STRING, "data": ANY, "transient": BOOLEAN})
    return {
        "description": "One chunk of a UI message stream. A client gets only what its generation (`ai`) knows.",
        "anyOf": [*known, data],
    }
