"""The AI SDK's messages as schemas: what clients send and what they are shown. Unknown parts are kept as they came."""

from __future__ import annotations

from typing import get_args

from chatagent.flask.message import MAX_ID, MAX_PARTS
from chatagent.flask.openapi.chunk import chunk_schema
from chatagent.flask.openapi.schema import (
    ANY,
    BOOLEAN,
    OBJECT,
    STRING,
    TIME_MS,
    Schema,
    array,
    integer,
    obj,
    one_of,
    ref,
    said,
    tag,
    text,
)
from chatagent.record import Busy, Kind

_META = {"providerMetadata": OBJECT}
_TOOL_STATES = (
    *("input-streaming", "input-available", "approval-requested", "approval-responded"),
    *("output-available", "output-error", "output-denied"),
)
_TOOL_FIELDS = {
    "state": one_of(_TOOL_STATES),
    "input": ANY,
    "output": ANY,
    "errorText": STRING,
    "approval": obj({"id": STRING}, {"approved": BOOLEAN, "reason": STRING}),
    "providerExecuted": BOOLEAN,
}

#: An id as every door reads it. Source: `chatagent.flask.message.read_id`.
ID: Schema = {**text(1, MAX_ID), "format": "printable", "description": f"1 to {MAX_ID} printable characters."}
ID_OR_NULL: Schema = {**ID, "type": ["string", "null"]}
PART_ID: dict[str, Schema] = {"X-Part-Id": said(ID, "The same id within five minutes is one record.")}
#: Which answer a stop is for. Source: `chatagent.flask.gateway.Gateway.stop_named`.
STOPPED: dict[str, Schema] = {
    "messageId": said(ID_OR_NULL, "The message that is answered, or its answer."),
    "seq": {**integer(0, 2**53), "type": ["integer", "null"], "description": "The number of the message in the inbox."},
}
BUSY: Schema = {
    "description": "What happens to the message while the chat answers another one.",
    "type": ["string", "null"],
    "enum": [*get_args(Busy), None],
}


def message_schemas() -> dict[str, Schema]:
    """Schemas of the components, by name."""
    return {
        "UIMessage": _message(),
        "UIMessagePart": _part(),
        "SentMessage": _sent(),
        "UIMessageChunk": chunk_schema(),
        "QueueEntry": _queue_entry(),
    }


def _message() -> Schema:
    roles = one_of(("user", "assistant", "system"))
    about = "A stored message, as `useChat` keeps it."
    fields = {"role": roles, "parts": array(ref("UIMessagePart"))}
    return obj(fields, {"id": STRING, "metadata": ANY}, about=about)


def _sent() -> Schema:
    """What a client may send. Source: `chatagent.flask.message.read_message`."""
    about = "A new message of the user, or the assistant's with answers to its pending tool calls."
    typed = obj({"type": STRING}, about="Any part; a text part needs its text.")
    text_needs_text: Schema = {"if": {"properties": {"type": {"const": "text"}}}, "then": obj({"text": STRING})}
    parts = array({**typed, **text_needs_text}, maxItems=MAX_PARTS)
    return obj(
        {"role": one_of(("user", "assistant")), "parts": parts},
        {"id": ID_OR_NULL, "metadata": ANY},
        about=about,
    )


def _part() -> Schema:
    kinds = [
        obj({"type": tag("text"), "text": STRING}, {"state": one_of(("streaming", "done")), **_META}),
        obj({"type": tag("reasoning"), "text": STRING}, {"state": one_of(("streaming", "done")), **_META}),
        obj({"type": tag("file")}, {"mediaType": STRING, "url": STRING, "filename": STRING, **_META}),
        obj({"type": tag("source-url")}, {"sourceId": STRING, "url": STRING, "title": STRING, **_META}),
        obj({"type": tag("source-document")}, {"sourceId": STRING, "mediaType": STRING, "title": STRING, **_META}),
        obj({"type": tag("step-start")}),
        obj({"type": tag("steering-message"), "id": STRING, "parts": array(OBJECT)}),
        obj({"type": tag("dynamic-tool")}, {"toolName": STRING, "toolCallId": STRING, **_TOOL_FIELDS}),
        obj({"type": _prefix("tool-")}, {"toolCallId": STRING, **_TOOL_FIELDS}),
        obj({"type": _prefix("data-")}, {"id": STRING, "data": ANY}),
        obj({"type": STRING}, about="A part that newer or other clients know."),
    ]
    return {"description": "One part of a message.", "anyOf": kinds}


def _prefix(prefix: str) -> Schema:
    return {"type": "string", "pattern": f"^{prefix}"}


def _queue_entry() -> Schema:
    required = {"seq": {"type": "integer"}, "kind": one_of(get_args(Kind)), "at": TIME_MS}
    optional = {
        "busy": BUSY,
        "trigger": STRING,
        "messageId": STRING,
        "message": ref("SentMessage"),
        "action": ANY,
    }
    return obj(required, optional, about="A message or an action that waits for its answer.")
