"""The AI SDK's door over HTTP, what waits in a chat, and the chats of a person: `sse`, `queue_api`, `overview_api`."""

from __future__ import annotations

from chatagent.flask.openapi.fault import BAD_REQUEST, BUSY, CLOSED
from chatagent.flask.openapi.message import BUSY as POLICY
from chatagent.flask.openapi.message import ID, ID_OR_NULL, PART_ID, STOPPED
from chatagent.flask.openapi.operation import AI, ASKS, OF_CHAT, WITH_BODY, Operation, json_answer, stream_answer
from chatagent.flask.openapi.schema import (
    ANY,
    BOOLEAN,
    OBJECT,
    STRING,
    STRING_OR_NULL,
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
from chatagent.flask.overview import MAX_PAGE, PAGE

_CHAT, _CHATS = "AI SDK", "Chats"
_HEADERS = {"x-vercel-ai-ui-message-stream": "`v1`, which says what the stream is."}
_ANSWER = stream_answer(
    ref("UIMessageChunk"),
    "The answer as a UI message stream: `data: <chunk>` for each chunk, `data: [DONE]` at the end, comments between.",
    _HEADERS,
)
_MESSAGE = said(ref("SentMessage"), "The new message alone; goes before `messages`.")
_MESSAGES = said(
    array(ANY, minItems=1), "The conversation as the page has it. Only the newest message is read: see `SentMessage`."
)
_SEND = {
    "messageId": ID_OR_NULL,
    "metadata": said(ANY, "The agent's client data."),
    "agent": said(ID_OR_NULL, "Agent of a new chat; else `?agent=`, else the default one."),
    "busy": POLICY,
}
_SUBMIT = {"trigger": one_of(("submit-message",), "submit-message"), **_SEND}
_SENDS: Schema = {
    "description": "What `DefaultChatTransport` posts. Further fields reach the agent as `turn.body`.",
    "anyOf": [
        obj({"id": ID, "message": _MESSAGE}, _SUBMIT),
        obj({"id": ID, "messages": _MESSAGES}, _SUBMIT),
        obj({"id": ID, "trigger": tag("regenerate-message")}, _SEND),
    ],
}
_QUEUE_NAME = {"name": said(STRING, "Id of the waiting message, or its `seq`.")}
_LISTING = {
    "tag": said({"type": "string", "minLength": 1}, "Chats with this tag."),
    "user": said({"type": "string", "minLength": 1}, "Chats of this user; not together with `tag`."),
    "limit": integer(1, MAX_PAGE, PAGE),
    "cursor": said({"type": "string", "pattern": r"^[0-9]{1,16}-.+$"}, "`cursor` of the page before."),
}

OPERATIONS: dict[str, Operation] = {
    "chatagent.chat": Operation(
        _CHAT,
        "Send a message and read its answer",
        {200: _ANSWER},
        (*OF_CHAT, *WITH_BODY, CLOSED, BUSY),
        body=_SENDS,
        query={"ai": AI, "agent": said(STRING, "Agent of a new chat, where the body names none.")},
        about="A dropped connection never stops an answer. The same message again starts no second turn.",
    ),
    "chatagent.resume": Operation(
        _CHAT,
        "Follow the answer that is being written",
        {200: _ANSWER, 204: {"description": "Nothing is being answered, or there is no such chat."}},
        (*ASKS, BAD_REQUEST),
        query={"ai": AI},
    ),
    "chatagent.stop": Operation(
        _CHAT,
        "Stop the answer, whoever asked for it",
        {200: json_answer(obj({"stopped": BOOLEAN}), "`stopped` is false when there was nothing to stop.")},
        (*OF_CHAT, *WITH_BODY, CLOSED),
        body=obj({}, STOPPED),
        body_required=False,
        headers=PART_ID,
        about="With a name it is for one answer: late or repeated it stops no other. A message that waits behind "
        "another is taken out.",
    ),
    "chatagent.action": Operation(
        _CHAT,
        "Act on a chat",
        {200: _ANSWER, 202: json_answer(obj({"seq": integer(0)}), "Unless `text/event-stream` is accepted.")},
        (*OF_CHAT, *WITH_BODY, CLOSED, BUSY),
        body=obj({"action": {"not": {"type": "null"}}}, {"metadata": ANY}),
        query={"ai": AI},
    ),
    "chatagent.queue_list": Operation(
        _CHAT, "List the messages that wait", {200: json_answer(obj({"queue": array(ref("QueueEntry"))}))}
    ),
    "chatagent.queue_edit": Operation(
        _CHAT,
        "Replace a waiting message or its busy policy",
        {200: json_answer(ref("QueueEntry"), "The message as it is now.")},
        (*OF_CHAT, *WITH_BODY, CLOSED),
        body={**obj({}, {"message": ref("SentMessage"), "busy": POLICY}), "minProperties": 1},
        path=_QUEUE_NAME,
    ),
    "chatagent.queue_cancel": Operation(
        _CHAT,
        "Take a waiting message out",
        {200: json_answer(ref("QueueEntry"), "What was taken out.")},
        (*OF_CHAT, CLOSED),
        path=_QUEUE_NAME,
    ),
    "chatagent.chats": Operation(
        _CHATS,
        "List chats, last active first",
        {200: json_answer(ref("ChatPage"))},
        (*ASKS, BAD_REQUEST),
        query=_LISTING,
        about="`tag`, `user` (one's own), or neither: all that the token may see.",
    ),
    "chatagent.chats_feed": Operation(
        _CHATS,
        "Follow what chats do",
        {
            200: stream_answer(
                {"anyOf": [ref("ChatPage"), ref("Chat"), ref("GoneChat")]},
                "Event `chats` with a page, then event `chat` for each change, until the token ends.",
            )
        },
        (*ASKS, BAD_REQUEST),
        query=_LISTING,
    ),
}


def schemas() -> dict[str, Schema]:
    """Schemas of the components, by name."""
    page = obj({"chats": array(ref("Chat")), "cursor": STRING_OR_NULL})
    return {"Chat": _chat(), "GoneChat": obj({"sessionId": STRING, "state": {"const": "gone"}}), "ChatPage": page}


def _chat() -> Schema:
    states = ("new", "queued", "running", "closed", "completed", "waiting", "stopped", "failed")
    fields = {
        "id": STRING,
        "sessionId": STRING,
        "agent": STRING,
        "state": one_of(states),
        "waiting": array(OBJECT),
        "title": STRING_OR_NULL,
        "user": STRING_OR_NULL,
        "tags": array(STRING),
        "turn": integer(0),
        "createdAt": TIME_MS,
        "updatedAt": TIME_MS,
        "closedReason": STRING_OR_NULL,
    }
    return obj(fields, about="How a chat stands. It gives no right to read the chat itself.")
