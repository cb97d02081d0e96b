"""What waits in a chat, over HTTP: list, edit, cancel; and actions."""

from __future__ import annotations

import threading

from flask import Blueprint, Response, request

from chatagent.flask import chat_queue
from chatagent.flask.access import require
from chatagent.flask.answer import json_response
from chatagent.flask.gateway import Gateway
from chatagent.flask.message import read_action, read_json
from chatagent.flask.sse import answer_stream, asked_dialect

_CHAT = "/api/chat/<path:chat_id>"


def register(blueprint: Blueprint, gateway: Gateway) -> None:
    """Add the routes to a blueprint."""

    @blueprint.get(f"{_CHAT}/queue")
    def queue_list(chat_id: str) -> Response:
        session = gateway.get(gateway.access.identify(request), chat_id)
        return json_response({"queue": chat_queue.list_queue(gateway, session.id)})

    @blueprint.patch(f"{_CHAT}/queue/<path:name>")
    def queue_edit(chat_id: str, name: str) -> Response:
        identity = gateway.access.identify(request)
        changes = read_json(request.get_data(cache=False))
        return json_response(chat_queue.entry_json(chat_queue.edit(gateway, identity, chat_id, name, changes)))

    @blueprint.delete(f"{_CHAT}/queue/<path:name>")
    def queue_cancel(chat_id: str, name: str) -> Response:
        identity = gateway.access.identify(request)
        return json_response(chat_queue.entry_json(chat_queue.cancel(gateway, identity, chat_id, name)))

    @blueprint.post(f"{_CHAT}/action")
    def action(chat_id: str) -> Response:
        """Put an action into the chat: 202 with its seq, or its answer as a stream when that is accepted."""
        identity = gateway.access.identify(request)
        session = gateway.backend.sessions.get(chat_id)
        require(identity, "write", session)
        dialect = asked_dialect()
        send = read_action({**read_json(request.get_data(cache=False)), "id": session.chat_id})
        if "text/event-stream" not in request.headers.get("Accept", ""):
            return json_response({"seq": gateway.push(session, send).seq}, 202)
        wake = threading.Event()
        return answer_stream(gateway, gateway.send(session, send, wake), wake, dialect)
