"""The door for OpenAI's clients. Requests may hold what OpenAI's may; what is not named here reaches the agent."""

from __future__ import annotations

from typing import Any

from chatagent.flask.openai.completion_api import CHAT_HEADER
from chatagent.flask.openai.conversation_api import ITEMS, MAX_ITEMS
from chatagent.flask.openapi.fault import ANSWER_FAILED, BAD_REQUEST, BUSY, CLOSED, MODEL_NOT_FOUND, NOT_FOUND
from chatagent.flask.openapi.message import BUSY as POLICY
from chatagent.flask.openapi.message import ID, ID_OR_NULL
from chatagent.flask.openapi.operation import ASKS, OF_CHAT, WITH_BODY, Operation, json_answer, stream_answer
from chatagent.flask.openapi.schema import (
    BOOLEAN,
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
    tag,
)

_TAG = "OpenAI's clients"
_FLAG: Schema = {"type": ["boolean", "null"]}
_ONCE = {"Idempotency-Key": said(STRING, "The same request made again is one.")}
_SENDS = (*OF_CHAT, *WITH_BODY, MODEL_NOT_FOUND, CLOSED, BUSY)
_NAME = {"name": said({"pattern": "^resp_[A-Za-z0-9_-]+$"}, "Id of the response.")}
_COMPLETION = obj(
    {"model": said(ID, "An agent."), "messages": ref("OpenAIInput")},
    {
        "stream": _FLAG,
        "stream_options": {"type": ["object", "null"], "properties": {"include_usage": _FLAG}},
        "metadata": said(OBJECT_OR_NULL, "`chat_id` names the chat; the rest is the agent's client data."),
        "n": {"enum": [1, None]},
        "logprobs": {"enum": [False, None]},
        "modalities": {"enum": [["text"], [], None]},
        "busy": POLICY,
    },
)
_ASK = obj(
    {"input": ref("OpenAIInput")},
    {
        "model": said(ID_OR_NULL, "An agent; needed for a new chat."),
        "instructions": STRING_OR_NULL,
        "stream": _FLAG,
        "background": said(_FLAG, "Answer at once with status `queued`."),
        "conversation": {"anyOf": [ID, obj({"id": ID}), {"type": "null"}]},
        "previous_response_id": ID_OR_NULL,
        "metadata": OBJECT_OR_NULL,
        "busy": POLICY,
    },
)


def _either(about: str) -> dict[str, Any]:
    event = obj({"type": STRING, "sequence_number": integer(0)})
    content = {**json_answer(ref("Response"))["content"], **stream_answer(event, "")["content"]}
    return {"description": about, "content": content}


def _list_of(name: str, more: dict[str, Schema] | None = None) -> Schema:
    return obj({"object": tag("list"), "data": array(ref(name)), **(more or {})})


OPERATIONS: dict[str, Operation] = {
    "chatagent_openai.models": Operation(
        _TAG, "List the agents that the token may start", {200: json_answer(_list_of("Model"))}, ASKS
    ),
    "chatagent_openai.model": Operation(
        _TAG,
        "Read an agent's card",
        {200: json_answer(ref("Model"))},
        (*ASKS, MODEL_NOT_FOUND),
        path={"name": said(STRING, "The agent.")},
    ),
    "chatagent_openai.chat_completions": Operation(
        _TAG,
        "Ask an agent",
        {
            200: {
                "description": "The completion; with `stream` its chunks as `data:` events, then `data: [DONE]`.",
                "headers": {CHAT_HEADER: {"description": "The chat, where its id is ASCII.", "schema": STRING}},
                "content": {
                    "application/json": {"schema": ref("ChatCompletion")},
                    "text/event-stream": {"schema": STRING, "x-itemSchema": ref("ChatCompletionChunk")},
                },
            }
        },
        (*_SENDS, ANSWER_FAILED),
        body=_COMPLETION,
        headers={**_ONCE, CHAT_HEADER: said(ID, "Names the chat; an existing one keeps its history.")},
    ),
    "chatagent_openai.response_create": Operation(
        _TAG,
        "Ask an agent, in a chat that lives on",
        {200: _either("The response; with `stream` its events.")},
        _SENDS,
        body=_ASK,
        headers=_ONCE,
    ),
    "chatagent_openai.response_retrieve": Operation(
        _TAG,
        "Read a response as it stands, or follow it",
        {200: _either("The response; with `stream=true` its events.")},
        (*OF_CHAT, BAD_REQUEST),
        query={"stream": one_of(("true", "false")), "starting_after": said(integer(-1), "The last event's number.")},
        path=_NAME,
    ),
    "chatagent_openai.response_cancel": Operation(
        _TAG, "Stop an answer", {200: json_answer(ref("Response"))}, (*OF_CHAT, CLOSED), path=_NAME
    ),
    "chatagent_openai.conversation_create": Operation(
        _TAG,
        "Make a chat",
        {200: json_answer(ref("Conversation"))},
        (*ASKS, *WITH_BODY, MODEL_NOT_FOUND, NOT_FOUND, CLOSED),
        body=obj(
            {},
            {"items": {"anyOf": [ref("OpenAIInput"), {"type": "array", "maxItems": 0}, {"type": "null"}]}}
            | {"metadata": said({"type": ["object", "null"], "properties": {"model": ID}}, "`model` names the agent.")},
        ),
        body_required=False,
        headers=_ONCE,
    ),
    "chatagent_openai.conversation_retrieve": Operation(_TAG, "Read a chat", {200: json_answer(ref("Conversation"))}),
    "chatagent_openai.conversation_items": Operation(
        _TAG,
        "Read the messages of a chat",
        {200: json_answer(ref("ConversationItems"))},
        (*OF_CHAT, BAD_REQUEST),
        query={
            "limit": integer(1, MAX_ITEMS, ITEMS),
            "order": one_of(("asc", "desc"), "desc"),
            "after": said(STRING, "`last_id` of the page before."),
        },
    ),
}


def schemas() -> dict[str, Schema]:
    """Schemas of the components, by name."""
    items = {"first_id": STRING_OR_NULL, "last_id": STRING_OR_NULL, "has_more": BOOLEAN}
    model = {"id": STRING, "object": tag("model"), "created": integer(), "owned_by": STRING}
    conversation = {"id": STRING, "object": tag("conversation"), "created_at": integer(), "metadata": OBJECT}
    return {
        "OpenAIInput": _input(),
        "Model": obj(model, {"description": STRING}),
        "ChatCompletion": _completion("chat.completion", {"message": OBJECT}),
        "ChatCompletionChunk": _completion("chat.completion.chunk", {"delta": OBJECT}),
        "Response": _response(),
        "Conversation": obj(conversation),
        "ConversationItem": obj({"id": STRING, "type": tag("message"), "role": STRING, "content": array(OBJECT)}),
        "ConversationItems": _list_of("ConversationItem", items),
    }


def _input() -> Schema:
    """Source: `chatagent.flask.openai.message.read_messages`."""
    content: Schema = {"anyOf": [STRING, array(obj({"type": STRING})), {"type": "null"}]}
    message = obj(
        {"role": one_of(("user", "assistant", "system", "developer", "tool"))},
        {"content": content, "tool_call_id": STRING, "tool_calls": {"type": ["array", "null"], "items": OBJECT}},
        about="A message.",
    )
    other = obj({"type": STRING}, about="Another item: a call's output, an answer to an approval, …")
    return {
        "description": "A text, or messages and items as OpenAI has them.",
        "anyOf": [{"type": "string", "minLength": 1}, array({"anyOf": [message, other]}, minItems=1)],
    }


def _completion(kind: str, said_by: dict[str, Schema]) -> Schema:
    reason = {"finish_reason": STRING_OR_NULL}
    choice = obj({"index": integer(0), **said_by, **reason})
    fields = {"id": STRING, "object": tag(kind), "created": integer(), "model": STRING, "choices": array(choice)}
    return obj(fields, {"usage": OBJECT})


def _response() -> Schema:
    statuses = ("queued", "in_progress", "completed", "incomplete", "failed", "cancelled")
    fields: dict[str, Schema] = {
        "id": STRING,
        "object": tag("response"),
        "created_at": integer(),
        "status": one_of(statuses),
        "model": STRING,
        "output": array(obj({"type": STRING})),
        "error": OBJECT_OR_NULL,
        "incomplete_details": OBJECT_OR_NULL,
        "previous_response_id": STRING_OR_NULL,
        "conversation": obj({"id": STRING}),
        "usage": OBJECT_OR_NULL,
    }
    return obj(fields)
