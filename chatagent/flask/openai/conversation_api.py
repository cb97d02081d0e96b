"""`/v1/conversations`: a conversation is a chat, by the app's own chat id. Source: OpenAI API, "Conversations"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, request

from chatagent.errors import BadRequest
from chatagent.flask.answer import json_response
from chatagent.flask.gateway import Gateway
from chatagent.flask.message import read_json
from chatagent.flask.openai import session as chats
from chatagent.flask.openai.message import read_messages
from chatagent.flask.query import read_number
from chatagent.redis.session import Session
from chatagent.runtime.conversation import view
from chatagent.ui.reading import text_of

#: Items of one page, and at most.
ITEMS, MAX_ITEMS = 20, 100


def register(blueprint: Blueprint, gateway: Gateway) -> None:
    """Add the routes."""

    @blueprint.post("/v1/conversations")
    def conversation_create() -> Response:
        """A new chat. A chat has one agent: `metadata.model` names it where there are several."""
        identity = gateway.access.identify(request)
        body = read_json(request.get_data(cache=False))
        metadata = body.get("metadata")
        if not isinstance(metadata, dict | None):
            raise BadRequest("must be an object", field="metadata")
        items = body.get("items")
        past = read_messages(items, "items").messages if items not in (None, []) else []
        model = (metadata or {}).get("model") or gateway.agent(None).id
        session = chats.create(gateway, identity, f"conv_{chats.once(request, identity)}", model, past)
        return json_response(_conversation(session))

    @blueprint.get("/v1/conversations/<path:chat_id>/items")
    def conversation_items(chat_id: str) -> Response:
        """The messages, newest first unless `order=asc`."""
        session = gateway.get(gateway.access.identify(request), chat_id)
        snapshot = gateway.backend.history.read(session.id)
        items = [_item(message) for message in view(snapshot.messages, snapshot.unread)]
        return json_response(_page(items, request.args))

    @blueprint.get("/v1/conversations/<path:chat_id>")
    def conversation_retrieve(chat_id: str) -> Response:
        return json_response(_conversation(gateway.get(gateway.access.identify(request), chat_id)))


def _page(items: list[dict[str, Any]], args: Mapping[str, str]) -> dict[str, Any]:
    limit = read_number(args, "limit", default=ITEMS, least=1, most=MAX_ITEMS)
    order = args.get("order", "desc")
    if order not in ("asc", "desc"):
        raise BadRequest("must be asc or desc", field="order")
    if order == "desc":
        items = items[::-1]
    names = [item["id"] for item in items]
    start = names.index(args["after"]) + 1 if args.get("after") in names else 0
    found = items[start : start + limit]
    ends = {"first_id": found[0]["id"], "last_id": found[-1]["id"]} if found else {"first_id": None, "last_id": None}
    return {"object": "list", "data": found, **ends, "has_more": start + len(found) < len(items)}


def _conversation(session: Session) -> dict[str, Any]:
    metadata = {"model": session.agent}
    created_s = session.created_at_ms // 1000
    return {"id": session.chat_id, "object": "conversation", "created_at": created_s, "metadata": metadata}


def _item(message: Mapping[str, Any]) -> dict[str, Any]:
    user = message["role"] == "user"
    kind: dict[str, Any] = {"type": "input_text"} if user else {"type": "output_text", "annotations": []}
    content = [{**kind, "text": text_of(message)}]
    for part in message.get("parts", ()):
        if user and part["type"] == "file" and str(part.get("mediaType")).startswith("image/"):
            content.append({"type": "input_image", "image_url": part.get("url"), "detail": "auto"})
    named = {"id": message.get("id"), "type": "message", "role": message["role"], "status": "completed"}
    return {**named, "content": content}
