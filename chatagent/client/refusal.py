"""Answers that say no, as the errors that they were made of (docs/protocol.md, Errors)."""

from __future__ import annotations

import re
from typing import Any

import orjson

from chatagent.client.want import Reply
from chatagent.errors import (
    BadRequest,
    Busy,
    ChatAgentError,
    Closed,
    ConfigError,
    Forbidden,
    NotFound,
    Retryable,
    TooLarge,
    Unauthorized,
)

#: Statuses that say: try again.
RETRYABLE = (429, 502, 503, 504)
#: Seconds to wait when nobody says how long.
_AFTER_S = 1.0
#: The limit in the gateway's words.
_LIMIT = re.compile(r"(\d+) bytes")
_PLAIN: dict[int, type[ChatAgentError]] = {401: Unauthorized, 403: Forbidden, 404: NotFound}


def refusal(reply: Reply) -> ChatAgentError:
    """The error of an answer with a status of 300 or more."""
    body = _body(reply)
    text = str(body.get("error") or f"the gateway answered {reply.status}")
    if reply.status < 400:
        place = reply.headers.get("location", "another address")
        return ConfigError(f"the gateway is not here, but at {place}; give its own address")
    if reply.status in RETRYABLE:
        return Retryable(text, after_s=_after_s(reply))
    if reply.status == 409:
        return Closed(body.get("closedReason")) if body.get("code") == Closed.code else Busy(text)
    if reply.status == 413:
        limit = _LIMIT.search(text)
        return TooLarge("the request", limit_bytes=int(limit[1]) if limit else None)
    if reply.status in _PLAIN:
        return _PLAIN[reply.status](text)
    if 400 <= reply.status < 500:
        return BadRequest(text.removeprefix(f"{body.get('field')}: "), field=body.get("field"))
    return ChatAgentError(text)


def _body(reply: Reply) -> dict[str, Any]:
    try:
        body = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _after_s(reply: Reply) -> float:
    given = reply.headers.get("retry-after", "")
    return float(given) if given.isdecimal() else _AFTER_S
