"""The routes under `/v1` and the models. Source: OpenAI API reference, "Models"."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from chatagent.errors import Forbidden
from chatagent.flask.answer import json_response
from chatagent.flask.gateway import Gateway
from chatagent.flask.openai import completion_api, conversation_api, error, response_api
from chatagent.flask.openai.error import ModelNotFound, NotServed
from chatagent.redis.directory import AgentCard

#: What OpenAI has and we have not; and what we have, but not with all that is below it.
_UNSERVED = "assistants,audio,batches,completions,embeddings,files,fine_tuning,images,moderations,threads,vector_stores"
_SERVED = "chat,conversations,responses"
_METHODS = ("GET", "POST", "DELETE")


def register(blueprint: Blueprint, gateway: Gateway) -> None:
    """Add the door's routes and its way to tell errors to a blueprint of its own."""
    error.register(blueprint)
    completion_api.register(blueprint, gateway)
    response_api.register(blueprint, gateway)
    conversation_api.register(blueprint, gateway)

    @blueprint.route(f"/v1/<any({_SERVED}):name>/<path:rest>", methods=_METHODS)
    @blueprint.route(f"/v1/<any({_UNSERVED}):name>", methods=_METHODS, defaults={"rest": ""})
    @blueprint.route(f"/v1/<any({_UNSERVED}):name>/<path:rest>", methods=_METHODS)
    def unserved(name: str, rest: str) -> Response:
        """In the shape that OpenAI's clients read; the app would answer with a page for people."""
        raise NotServed(f"{request.method} /v1/{name}{'/' if rest else ''}{rest} is not served here; see /openapi.json")

    @blueprint.get("/v1/models")
    def models() -> Response:
        identity = gateway.access.identify(request)
        cards = [card for card in gateway.backend.directory.agents() if identity.may_start(card.id)]
        return json_response({"object": "list", "data": [_model(card) for card in cards]})

    @blueprint.get("/v1/models/<path:name>")
    def model(name: str) -> Response:
        identity = gateway.access.identify(request)
        card = gateway.backend.directory.agent(name)
        if card is None:
            raise ModelNotFound(f"there is no agent {name!r}")
        if not identity.may_start(card.id):
            raise Forbidden(f"this token may not start chats with agent {name!r}")
        return json_response(_model(card))


def _model(card: AgentCard) -> dict[str, Any]:
    return {"id": card.id, "object": "model", "created": 0, "owned_by": "chatagent", "description": card.description}
