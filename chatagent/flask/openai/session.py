"""Which chat a request of an OpenAI client is about, and what is put into it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flask import Request

from chatagent.errors import BadRequest, NotFound
from chatagent.flask.access import require, require_start
from chatagent.flask.gateway import Gateway
from chatagent.flask.message import Send, new_chat_id, part_id, read_busy, read_id
from chatagent.flask.openai.call_id import bare_call_id, session_of
from chatagent.flask.openai.error import ModelNotFound
from chatagent.flask.openai.message import Said, UIMessage
from chatagent.flask.token import Identity
from chatagent.ids import new_id
from chatagent.redis.session import Session
from chatagent.ui.reading import WAITING

#: Fields of a request that the door reads itself; the rest reaches the agent as `turn.body`.
_OWN_FIELDS = frozenset(
    {"model", "messages", "input", "stream", "stream_options", "metadata", "store", "background"}
    | {"conversation", "previous_response_id", "instructions", "include", "n", "busy"}
)


def once(request: Request, identity: Identity) -> str:
    """Random, but the same for a request that the client makes again by itself (`Idempotency-Key`)."""
    key = request.headers.get("Idempotency-Key")
    if not key:
        return new_id(size=24)
    return hashlib.sha256(f"{identity.user}\0{request.path}\0{key}".encode()).hexdigest()[:24]


def create(gateway: Gateway, identity: Identity, chat_id: str, model: Any, past: Sequence[UIMessage] = ()) -> Session:
    """A new chat that starts with `past`. Of a chat that exists, nothing is changed. Raises: ModelNotFound."""
    agent, chat_id = read_id(model, "model"), new_chat_id(chat_id, "chat_id")
    require_start(identity, chat_id, agent)
    try:
        card = gateway.agent(agent)
    except NotFound as error:
        raise ModelNotFound(str(error)) from error
    named = [{"id": new_id(), **message} for message in past]
    session, created = gateway.backend.sessions.create(
        chat_id, card.id, queue=card.queue, user=identity.user, history=named
    )
    if not created:
        require(identity, "write", session)
    return session


def find(gateway: Gateway, identity: Identity, chat_id: str, model: Any) -> Session | None:
    """A chat that this identity may write to, if it exists. Raises: Forbidden, BadRequest for another agent."""
    session = gateway.backend.sessions.find(chat_id)
    if session is None:
        return None
    require(identity, "write", session)
    if model is not None and model != session.agent:
        raise BadRequest(f"this conversation is with the model {session.agent!r}; start another one", field="model")
    return session


def waits_for(gateway: Gateway, identity: Identity, said: Said) -> Session | None:
    """The chat in which these calls were made and can still be answered, by their ids alone."""
    sessions = {session_of(call_id) for call_id in said.outputs}
    session_id = sessions.pop() if len(sessions) == 1 else None
    session = gateway.backend.sessions.find(session_id) if session_id is not None else None
    if session is None or session.closed:
        return None
    require(identity, "write", session)
    return session if answer_message(gateway, session, said) is not None else None


def answer_message(gateway: Gateway, session: Session, said: Said) -> tuple[UIMessage, int] | None:
    """The client's answers as a message for the chat, and how many parts it had before; None when nobody asked."""
    messages = gateway.backend.history.read(session.id).messages
    if not messages or messages[-1].get("role") != "assistant":
        return None
    outputs = {bare_call_id(call_id): output for call_id, output in said.outputs.items()}
    parts = [part for each in messages[-1]["parts"] if (part := _answer(each, outputs, said.approvals)) is not None]
    if len(parts) != len(outputs) + len(said.approvals):
        return None
    return {"id": messages[-1]["id"], "role": "assistant", "parts": parts}, len(messages[-1]["parts"])


def _answer(
    part: Mapping[str, Any], outputs: Mapping[str, Any], approvals: Mapping[str, tuple[bool, str | None]]
) -> dict[str, Any] | None:
    call_id, approval = str(part.get("toolCallId")), part.get("approval") or {}
    named = {"type": part["type"], "toolCallId": call_id}
    if call_id in outputs:
        return {**named, "state": "output-available", "output": outputs[call_id]}
    if approval.get("id") in approvals:
        approved, reason = approvals[approval["id"]]
        told = {"id": approval["id"], "approved": approved, **({"reason": reason} if reason else {})}
        return {**named, "state": "approval-responded", "approval": told}
    return None


def unanswered(message: UIMessage) -> UIMessage:
    """The message as it was before its calls were answered."""
    parts = [
        {name: value for name, value in part.items() if name != "output"} | {"state": WAITING[0]}
        if part.get("toolCallId")
        else part
        for part in message["parts"]
    ]
    return {**message, "parts": parts}


def read_send(session: Session, message: UIMessage, body: Mapping[str, Any], instructions: Iterable[str]) -> Send:
    """What is put into the chat: the message, the client's `metadata`, and what else it asked for as `body`."""
    metadata = body.get("metadata")
    if not isinstance(metadata, dict | None):
        raise BadRequest("must be an object", field="metadata")
    known = {name: value for name, value in (metadata or {}).items() if name != "chat_id"}
    further = {name: value for name, value in body.items() if name not in _OWN_FIELDS and value is not None}
    told = "\n\n".join(text for text in instructions if text)
    payload: dict[str, Any] = {"trigger": "submit-message", "message": message}
    if known:
        payload["metadata"] = known
    if told:
        further["instructions"] = told
    if further:
        payload["body"] = further
    return Send(
        chat_id=session.chat_id,
        agent=None,
        payload=payload,
        part_id=part_id(message, None),
        busy=read_busy(body.get("busy")),
    )
