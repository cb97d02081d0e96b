"""Head start: an app's own server makes the first step of a chat, and hands the turn over to a worker.

Source: `chat.headStart` of the published Trigger.dev client. It starts a session with what was asked, streams the first
step of the answer to the page by itself, and then appends a `handover` record with what the model said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from werkzeug.exceptions import UnprocessableEntity

from chatagent.errors import BadRequest
from chatagent.flask.message import Send, read_id, read_message
from chatagent.ids import new_id
from chatagent.ui import encode_value

#: Largest request to start a session with a head start: it brings messages.
MAX_BYTES = 1024 * 1024
#: Releases before this one end their process when they get no access to S2.
_OLDEST = (4, 6)
#: Approvals that the client makes up, so that the AI SDK runs the calls of the first step.
_MADE_UP = "handover-approval-"

Part = Mapping[str, Any]
Chunk = dict[str, Any]


def require_release(version: str | None) -> None:
    """Refuse releases of the package that end their process here. Raises: UnprocessableEntity."""
    match = re.match(r"(\d+)\.(\d+)\.", version or "", re.ASCII)
    if match is not None and (int(match[1]), int(match[2])) < _OLDEST:
        raise UnprocessableEntity(f"a head start needs @trigger.dev/sdk 4.6 or later, this is {version}: update it")


def read_asked(payload: Mapping[str, Any]) -> dict[str, Any]:
    """What a head start answers: the whole conversation, the client data, further fields. Raises: BadRequest."""
    field = "triggerConfig.basePayload.headStartMessages"
    messages = payload.get("headStartMessages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("must be the messages of the chat, the user's last one at the end", field=field)
    for at, message in enumerate(messages):
        read_message(message, f"{field}[{at}]")
    if messages[-1]["role"] != "user":
        raise BadRequest("must end with a message of the user", field=field)
    own = ("chatId", "trigger", "headStartMessages", "messageId", "metadata", "idleTimeoutInSeconds")
    body = {name: value for name, value in payload.items() if name not in own}
    return {"messages": messages, "metadata": payload.get("metadata"), "body": body}


def read_handover(chat_id: str, record: Mapping[str, Any], asked: Mapping[str, Any], part: str | None) -> Send:
    """The message that was asked, with the step that has been made for it. Raises: BadRequest."""
    final = record.get("isFinal")
    if not isinstance(final, bool):
        raise BadRequest("must be true or false", field="isFinal")
    said = record.get("partialAssistantMessage")
    if not isinstance(said, list) or not all(isinstance(each, dict) for each in said):
        raise BadRequest("must be a list of model messages", field="partialAssistantMessage")
    chunks = _step(said, final=final)
    message_id = record.get("messageId")
    *history, message = asked["messages"]
    payload: dict[str, Any] = {
        "trigger": "submit-message",
        "message": message,
        "handover": {
            "messageId": new_id("msg_") if message_id is None else read_id(message_id, "messageId"),
            "chunks": chunks,
            "final": final,
            "history": history,
        },
    }
    for name in ("metadata", "body"):
        if asked.get(name):
            payload[name] = asked[name]
    return Send(chat_id, None, payload, part, busy="enqueue")


def _step(messages: Sequence[Part], *, final: bool) -> list[Chunk]:
    """The chunks that tell model messages as one step. Raises: BadRequest."""
    try:
        chunks = [chunk for message in messages for part in _parts(message) for chunk in _chunks(part)]
    except (KeyError, TypeError, AttributeError) as error:
        raise BadRequest("must be model messages of the AI SDK", field="partialAssistantMessage") from error
    called = {chunk["toolCallId"] for chunk in chunks if chunk["type"] == "tool-input-available"}
    done = {chunk["toolCallId"] for chunk in chunks if chunk["type"].startswith("tool-output-")}
    if final or called <= done:
        chunks.append({"type": "finish-step"})
    return [{"type": "start-step"}, *chunks]


def _parts(message: Part) -> list[Part]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _chunks(part: Part) -> list[Chunk]:
    """The chunks of one part of a model message; of one that readers are not told, none."""
    told = part.get("providerOptions")
    metadata = {"providerMetadata": told} if told else {}
    match part["type"]:
        case "text" | "reasoning" as kind:
            block = {"id": new_id()}
            return [
                {"type": f"{kind}-start", **block, **metadata},
                {"type": f"{kind}-delta", **block, "delta": str(part["text"])},
                {"type": f"{kind}-end", **block, **metadata},
            ]
        case "tool-call":
            named = {"toolCallId": str(part["toolCallId"]), "toolName": str(part["toolName"])}
            ran = {"providerExecuted": True} if part.get("providerExecuted") else {}
            return [{"type": "tool-input-available", **named, "input": part.get("input"), **ran, **metadata}]
        case "tool-result":
            return [_result(str(part["toolCallId"]), part["output"])]
        case "tool-approval-request" if not str(part["approvalId"]).startswith(_MADE_UP):
            named = {"approvalId": str(part["approvalId"]), "toolCallId": str(part["toolCallId"])}
            return [{"type": "tool-approval-request", **named}]
    return []


def _result(call_id: str, output: Part) -> Chunk:
    kind, value = output["type"], output.get("value")
    if kind.startswith("error-"):
        text = value if isinstance(value, str) else encode_value(value).decode()
        return {"type": "tool-output-error", "toolCallId": call_id, "errorText": text}
    if kind == "execution-denied":
        return {"type": "tool-output-denied", "toolCallId": call_id}
    return {"type": "tool-output-available", "toolCallId": call_id, "output": value}
