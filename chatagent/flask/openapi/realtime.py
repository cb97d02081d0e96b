"""The door of the published Trigger.dev client: `realtime`, `records_api`."""

from __future__ import annotations

from chatagent.flask.openapi.fault import BAD_REQUEST, BUSY, CLOSED, CONFLICT
from chatagent.flask.openapi.message import PART_ID, STOPPED
from chatagent.flask.openapi.operation import OF_CHAT, WITH_BODY, Operation, json_answer, stream_answer
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
)
from chatagent.flask.sessions.realtime import MAX_TIMEOUT_S, TIMEOUT_S

_TAG = "Trigger.dev client"
_AFTER = {"afterEventId": said(integer(-1, 2**53, -1), "`seqNum` of the last record that the client has.")}
_FOLLOW = {
    "Last-Event-ID": said(STRING, "Go on after this record; without it, from the turn that runs, or the last one."),
    "Timeout-Seconds": said(integer(1, MAX_TIMEOUT_S, TIMEOUT_S), "The stream ends after so long without a record."),
    "X-Peek-Settled": said(STRING, "`1`: end at once when no turn runs."),
    "X-Trigger-Stream-Start": said(STRING, "`latest`: only what is new."),
    "X-AI-SDK": said(one_of(("5", "6", "7")), "Generation of the AI SDK that reads, as `?ai=`."),
}
_TRIGGERS = ("submit-message", "regenerate-message", "action", "close")
_PAYLOAD = obj(
    {},
    {"trigger": one_of(_TRIGGERS, _TRIGGERS[0])},
    about="`message` (a SentMessage), `messageId`, `metadata`, `busy`; `action` of an action. Further fields reach "
    "the agent as `turn.body`.",
)
_RECORDS = json_answer(obj({"records": array(ref("Record"))}))
_SIDE: dict[str, Schema] = {
    "name": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"},
    "side": one_of(("in", "out")),
}

OPERATIONS: dict[str, Operation] = {
    "chatagent.append_record": Operation(
        _TAG,
        "Append a record to a chat's inbox",
        {200: json_answer(obj({"ok": BOOLEAN}, {"seq": integer(0)}), "`seq` is the number of the message.")},
        (*OF_CHAT, *WITH_BODY, CLOSED, BUSY, CONFLICT),
        body={
            "anyOf": [
                obj({"kind": tag("message"), "payload": _PAYLOAD}),
                obj({"kind": tag("stop")}, STOPPED),
                obj(
                    {"kind": tag("handover"), "partialAssistantMessage": array(OBJECT), "isFinal": BOOLEAN},
                    {"messageId": STRING},
                ),
                obj({"kind": tag("handover-skip")}),
                obj({"kind": tag("inject"), "messages": {"anyOf": [STRING, array(OBJECT)]}}),
            ]
        },
        headers=PART_ID,
        about="A `handover` is for servers: the first step of an answer to what the session was started with "
        "(`triggerConfig.basePayload` with the trigger `handover-prepare`), as model messages of the AI SDK.",
    ),
    "chatagent.follow_records": Operation(
        _TAG,
        "Follow a chat's outbox, over all turns",
        {
            200: stream_answer(
                obj({"records": array(ref("S2Record"))}),
                "Events `batch`, in S2's framing. The stream ends with `[DONE]` when its token does.",
                {
                    "X-Stream-Version": "`v2`.",
                    "X-Session-Settled": "`true` for a settled chat that was asked for with `X-Peek-Settled`.",
                },
            )
        },
        (*OF_CHAT, BAD_REQUEST),
        headers=_FOLLOW,
        about="Who has a token for a chat may follow it before it is made.",
    ),
    "chatagent.out_records": Operation(
        _TAG, "Read a chat's outbox without waiting", {200: _RECORDS}, (*OF_CHAT, BAD_REQUEST), query=_AFTER
    ),
    "chatagent.in_records": Operation(
        _TAG, "Read a chat's inbox", {200: _RECORDS}, (*OF_CHAT, BAD_REQUEST), query=_AFTER, who="server"
    ),
    "chatagent.append_output": Operation(
        _TAG,
        "Show a chunk beside the running answer",
        {200: json_answer(obj({"ok": BOOLEAN}))},
        (*OF_CHAT, *WITH_BODY, CONFLICT),
        body=obj({"data": obj({"type": {"type": "string", "pattern": "^data-"}}, {"id": STRING, "data": ANY})}),
        headers=PART_ID,
        about="It never becomes part of the message.",
        who="server",
    ),
    "chatagent.append_to_channel": Operation(
        _TAG,
        "Append a record to a side channel",
        {200: json_answer(obj({"ok": BOOLEAN, "seq": integer(0)}))},
        (*OF_CHAT, *WITH_BODY, CLOSED),
        body=ANY,
        headers=PART_ID,
        path=_SIDE,
        about="Any JSON. It wakes no worker. `out` is for servers.",
    ),
    "chatagent.follow_channel": Operation(
        _TAG,
        "Follow one side of a side channel",
        {
            200: stream_answer(
                obj({"records": array(ref("S2Record"))}), "As a chat's outbox.", {"X-Stream-Version": "`v2`."}
            )
        },
        (*OF_CHAT, BAD_REQUEST),
        headers={name: schema for name, schema in _FOLLOW.items() if name not in ("X-Peek-Settled", "X-AI-SDK")},
        path=_SIDE,
    ),
    "chatagent.channel_records": Operation(
        _TAG,
        "Read one side of a side channel",
        {200: _RECORDS},
        (*OF_CHAT, BAD_REQUEST),
        query=_AFTER,
        path=_SIDE,
    ),
}


def schemas() -> dict[str, Schema]:
    """Schemas of the components, by name."""
    headers = array(array(STRING, minItems=2, maxItems=2))
    s2_fields = {"seq_num": integer(-1), "timestamp": TIME_MS, "body": said(STRING, '`{"data": <UIMessageChunk>}`.')}
    return {
        "Record": obj({"data": ANY, "id": STRING, "seqNum": integer(0)}, {"headers": headers}),
        "S2Record": obj(s2_fields, {"headers": headers}, about="A record; a control record has headers alone."),
    }
