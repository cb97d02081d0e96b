"""Our errors in OpenAI's shape: `{"error": {message, type, param, code}}`, with the status that its clients expect."""

from __future__ import annotations

import logging
from typing import Any

from flask import Blueprint, Response
from werkzeug.exceptions import HTTPException

from chatagent.errors import BadRequest, ChatAgentError, Closed, Retryable
from chatagent.flask.answer import json_response

logger = logging.getLogger(__name__)

#: What OpenAI calls an error, by status; others are server errors.
_TYPES = {401: "invalid_request_error", 403: "permission_error", 429: "rate_limit_error"}


class ModelNotFound(ChatAgentError):
    """No agent has this name."""

    status = 404
    code = "model_not_found"


class NotServed(ChatAgentError):
    """A part of OpenAI's API that agents have no answer to."""

    status = 404
    code = "unknown_url"


class AnswerFailed(ChatAgentError):
    """The agent's turn failed; what it said about it is the message. The same request again tries again."""

    status = 500
    code = "server_error"


def error_body(error: ChatAgentError) -> dict[str, Any]:
    """An error as OpenAI's clients read it."""
    code = "invalid_api_key" if error.status == 401 else error.code
    kind = _TYPES.get(error.status, "invalid_request_error" if error.status < 500 else "server_error")
    param = error.field if isinstance(error, BadRequest) else None
    return {"error": {"message": str(error), "type": kind, "param": param, "code": code}}


def error_response(error: ChatAgentError) -> Response:
    """What the door answers for one of our errors."""
    headers: dict[str, str] = {}
    body = error_body(error)
    match error:
        case Closed() | AnswerFailed():
            # OpenAI's clients would try again by themselves.
            headers["x-should-retry"] = "false"
        case Retryable():
            headers["Retry-After"] = str(max(1, round(error.after_s)))
        case _ if error.status >= 500:
            logger.error("request failed", exc_info=error)
            body["error"]["message"] = "internal error"
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return json_response(body, error.status, headers)


def register(blueprint: Blueprint) -> None:
    """Answer every error of the blueprint's routes in OpenAI's shape."""
    blueprint.register_error_handler(ChatAgentError, error_response)

    @blueprint.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response | HTTPException:
        if error.response is not None:
            # The host app aborted with an answer of its own.
            return error
        status = error.code or 500
        found = {"message": error.description or error.name, "type": "invalid_request_error", "param": None}
        return json_response({"error": {**found, "code": error.name.lower().replace(" ", "_")}}, status)

    @blueprint.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        logger.error("request failed", exc_info=error)
        found = {"message": "internal error", "type": "server_error", "param": None, "code": "internal"}
        return json_response({"error": found}, 500)
