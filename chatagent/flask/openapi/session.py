"""The sessions API: `session_api`, `management_api`."""

from __future__ import annotations

from typing import Any

from chatagent.flask.openapi.fault import BAD_REQUEST, CLOSED, FORBIDDEN, UNAUTHORIZED, UNPROCESSABLE
from chatagent.flask.openapi.message import ID, ID_OR_NULL
from chatagent.flask.openapi.operation import ASKS, OF_CHAT, WITH_BODY, Operation, json_answer
from chatagent.flask.openapi.schema import (
    ANY,
    BOOLEAN,
    DATE,
    ISO_OR_NULL,
    OBJECT,
    OBJECT_OR_NULL,
    STRING,
    STRING_OR_NULL,
    Schema,
    array,
    integer,
    obj,
    one_of,
    ref,
    said,
    text,
)
from chatagent.flask.sessions.management_api import MAX_TRANSCRIPT_PAGE, TRANSCRIPT_PAGE
from chatagent.flask.sessions.session_api import HISTORY_PAGE, MAX_HISTORY_PAGE, MAX_REASON, MAX_TTL_S
from chatagent.flask.sessions.session_list import LISTED, MAX_LISTED, STATUSES
from chatagent.flask.sessions.session_request import MAX_AGENT, MAX_TAG, MAX_TAGS, MAX_TYPE

_TAG = "Sessions"
_TAGS = array(text(1, MAX_TAG), maxItems=MAX_TAGS)
_CURSOR = {"type": "string", "pattern": r"^[0-9]{1,16}(-session_\w+)?$"}
_MS = integer(0, 2**53)
_STATUS = "|".join(STATUSES)
_COMMAS = "Several with commas between: one of them is enough."


def _short(most: int) -> Schema:
    return {**ID, "maxLength": most}


_START = obj(
    {"taskIdentifier": said(_short(MAX_AGENT), "The agent.")},
    {
        "externalId": said(ID_OR_NULL, "The chat id; made when there is none."),
        "type": _short(MAX_TYPE),
        "tags": _TAGS,
        "metadata": said(ANY, "What the app keeps with the chat."),
        "user": said(ID_OR_NULL, "Whose chat it is; for servers."),
        "expiresAt": said(ISO_OR_NULL, "From then on the session takes no more (409)."),
        "triggerConfig": obj({}, {"basePayload": said(OBJECT, "`message`, `trigger`, `metadata` of the first turn.")}),
    },
)
_LIST: dict[str, Schema] = {
    "page[size]": integer(1, MAX_LISTED, LISTED),
    "page[after]": said(_CURSOR, "`pagination.next` of the page before."),
    "page[before]": said(_CURSOR, "`pagination.previous` of the page after; `page[after]` beside it is passed over."),
    "filter[taskIdentifier]": said(STRING, f"Agents. {_COMMAS}"),
    "filter[tags]": said(STRING, f"Tags. {_COMMAS}"),
    "filter[type]": said(STRING, f"Types. {_COMMAS}"),
    "filter[externalId]": said(STRING, "The chat id."),
    "filter[user]": said(STRING, "Whose chats."),
    "filter[status]": said({"type": "string", "pattern": f"^({_STATUS})?(,({_STATUS})?)*$"}, f"Statuses. {_COMMAS}"),
    "filter[createdAt][from]": _MS,
    "filter[createdAt][to]": _MS,
    "filter[createdAt][period]": said({"type": "string", "pattern": "^[0-9]{1,6}[smhdw]$"}, "For example `7d`."),
}
_RUN = {"runId": STRING}
_PAGED = {"limit": integer(1, MAX_HISTORY_PAGE, HISTORY_PAGE)}


def _started(about: str) -> dict[str, Any]:
    return json_answer(ref("StartedSession"), about)


OPERATIONS: dict[str, Operation] = {
    "chatagent.session_create": Operation(
        _TAG,
        "Start a session, or find it",
        {200: _started("The chat was there."), 201: _started("A new chat.")},
        (*OF_CHAT, *WITH_BODY, CLOSED),
        body=_START,
    ),
    "chatagent.session_list": Operation(
        _TAG,
        "List sessions, last active first",
        {200: json_answer(ref("SessionPage"))},
        (*ASKS, BAD_REQUEST),
        query=_LIST,
        about="Servers see all, a user their own.",
    ),
    "chatagent.session_retrieve": Operation(_TAG, "Read a session", {200: json_answer(ref("Session"))}),
    "chatagent.session_update": Operation(
        _TAG,
        "Replace tags or metadata",
        {200: json_answer(ref("Session"))},
        (*OF_CHAT, *WITH_BODY, UNPROCESSABLE),
        body=obj({}, {"tags": _TAGS, "metadata": OBJECT_OR_NULL, "externalId": said(STRING, "Cannot change (422).")}),
    ),
    "chatagent.session_history": Operation(
        _TAG,
        "Read the conversation",
        {200: json_answer(ref("SessionHistory"))},
        (*OF_CHAT, BAD_REQUEST),
        query={
            **_PAGED,
            "before": said(STRING, "`before` of the page after: a message's id."),
            "ai": said(one_of(("5", "6", "7")), "Generation whose words the messages are in."),
        },
        about="With what is on its way. With `limit` or `before` in pages, the newest messages first.",
    ),
    "chatagent.session_transcript": Operation(
        _TAG,
        "Read the conversation, as the published client does",
        {200: json_answer(ref("Transcript"))},
        (*OF_CHAT, BAD_REQUEST),
        query={
            "limit": integer(1, MAX_TRANSCRIPT_PAGE, TRANSCRIPT_PAGE),
            "before": said(_MS, "`nextCursor` of the page after."),
        },
    ),
    "chatagent.session_mint": Operation(
        _TAG,
        "Get a token for one chat",
        {201: json_answer(ref("MintedToken"), "For servers to hand to browsers.")},
        (*OF_CHAT, *WITH_BODY),
        body=obj(
            {},
            {
                "scopes": said(array(text(1), minItems=1), "`read` and `write` mean this chat."),
                "ttl": said(integer(1, MAX_TTL_S), "Seconds."),
                "user": ID_OR_NULL,
            },
        ),
        body_required=False,
        who="server",
    ),
    "chatagent.session_close": Operation(
        _TAG,
        "Close a chat for good",
        {200: json_answer(ref("Session"), "The first reason stays.")},
        (*OF_CHAT, *WITH_BODY),
        body=obj({}, {"reason": {"type": ["string", "null"], "maxLength": MAX_REASON}}),
        body_required=False,
    ),
    "chatagent.end_and_continue": Operation(
        _TAG, "End the run (nothing is swapped: runs go on by themselves)", {200: json_answer(ref("RunState"))}
    ),
    "chatagent.public_token": Operation(
        _TAG,
        "Get a token with these scopes",
        {200: json_answer(obj({"token": STRING}))},
        (UNAUTHORIZED, FORBIDDEN, *WITH_BODY),
        body=obj(
            {"scopes": array(text(1), minItems=1)},
            {"expirationTime": said({"type": ["number", "string", "null"]}, "Seconds since 1970, or as in `1h`.")},
        ),
        who="server",
    ),
    "chatagent.token_claims": Operation(
        _TAG,
        "Claims for tokens that a server signs itself",
        {200: json_answer(obj({"pub": BOOLEAN}))},
        (UNAUTHORIZED, FORBIDDEN),
        who="server",
    ),
}


def schemas() -> dict[str, Schema]:
    """Schemas of the components, by name."""
    session = _session()
    paging = obj({}, {"next": STRING, "previous": STRING})
    history = {"messages": array(ref("UIMessage")), "in_seq": integer(-1), "out_cursor": integer(-1)}
    started = {**_RUN, "publicAccessToken": STRING, "isCached": BOOLEAN}
    cursors = obj({}, {"lastOutEventId": STRING, "lastInEventId": STRING})
    minted = {"token": STRING, "publicAccessToken": STRING, "scopes": array(STRING), "ttl": integer(1)}
    return {
        "Session": session,
        "StartedSession": {"allOf": [ref("Session"), obj(started)]},
        "SessionPage": obj({"data": array(ref("Session")), "pagination": paging}),
        "SessionHistory": {"allOf": [ref("Session"), obj(history, {"before": STRING_OR_NULL})]},
        "Transcript": obj({"messages": array(ref("UIMessage")), "cursors": cursors}, {"nextCursor": STRING}),
        "MintedToken": obj(minted),
        "RunState": obj({**_RUN, "swapped": BOOLEAN}),
    }


def _session() -> Schema:
    fields = {
        "id": {"type": "string", "pattern": "^session_"},
        "externalId": said(STRING, "The chat id."),
        "type": STRING,
        "taskIdentifier": said(STRING, "The agent."),
        "status": one_of(("idle", "queued", "running")),
        "title": STRING_OR_NULL,
        "user": STRING_OR_NULL,
        "triggerConfig": obj({"basePayload": OBJECT}),
        "currentRunId": STRING_OR_NULL,
        "tags": array(STRING),
        "metadata": OBJECT_OR_NULL,
        "turn": integer(0),
        "closedAt": ISO_OR_NULL,
        "closedReason": STRING_OR_NULL,
        "expiresAt": ISO_OR_NULL,
        "createdAt": DATE,
        "updatedAt": DATE,
    }
    return obj(fields, about="A chat on the server.")
