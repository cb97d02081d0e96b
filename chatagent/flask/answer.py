"""JSON answers, and errors as JSON: one plain sentence that says the mend, never a stack trace."""

from __future__ import annotations

import logging
from typing import Any

import orjson
from flask import Blueprint, Response
from simple_websocket import ConnectionError as HandshakeError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from wsproto.utilities import RemoteProtocolError

from chatagent.errors import BadRequest, ChatAgentError, Closed, Retryable
from chatagent.ui import encode_value

logger = logging.getLogger(__name__)

#: Headers of server-sent events: nothing in between may change them or hold them back.
EVENT_STREAM = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer that nobody caches."""
    response = Response(_dump(body), status, headers, content_type="application/json")
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _dump(body: Any) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:
        # Half a character in a message, which orjson alone refuses.
        return encode_value(body)


def error_response(error: ChatAgentError) -> Response:
    """What a door answers for one of our errors."""
    body: dict[str, Any] = {"error": str(error), "code": error.code}
    headers: dict[str, str] = {}
    match error:
        case Closed():
            # The published client would try again for nine seconds.
            headers["x-should-retry"] = "false"
            body["closedReason"] = error.closed_reason
        case Retryable():
            headers["Retry-After"] = str(max(1, round(error.after_s)))
        case BadRequest() if error.field is not None:
            body["field"] = error.field
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if error.status >= 500 and not isinstance(error, Retryable):
        logger.error("request failed", exc_info=error)
        body = {"error": "internal error", "code": "internal"}
    return json_response(body, error.status, headers)


def register(blueprint: Blueprint, *, max_body_bytes: int) -> None:
    """Answer every error of the blueprint's routes as JSON."""
    blueprint.register_error_handler(ChatAgentError, error_response)

    @blueprint.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response | HTTPException:
        text = error.description or error.name
        if isinstance(error, RequestEntityTooLarge):
            text = f"the request is larger than {max_body_bytes} bytes; send the last message alone, or raise the limit"
        code = "too_large" if error.code == 413 else error.name.lower().replace(" ", "_")
        if error.response is not None:
            # The host app aborted with an answer of its own.
            return error
        return json_response({"error": text, "code": code}, error.code or 500)

    @blueprint.errorhandler(RemoteProtocolError)
    @blueprint.errorhandler(HandshakeError)
    def bad_handshake(error: Exception) -> Response:
        return json_response({"error": "this is no WebSocket handshake", "code": "bad_request"}, 400)

    @blueprint.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        logger.error("request failed", exc_info=error)
        return json_response({"error": "internal error", "code": "internal"}, 500)
