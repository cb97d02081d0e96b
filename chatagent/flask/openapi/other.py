"""Health, the page's own calls, and this document: `mount`, `page`."""

from __future__ import annotations

from chatagent.flask.openapi.fault import FORBIDDEN, UNAUTHORIZED, UNAVAILABLE
from chatagent.flask.openapi.operation import Operation, json_answer
from chatagent.flask.openapi.schema import (
    BOOLEAN,
    OBJECT,
    STRING,
    STRING_OR_NULL,
    Schema,
    array,
    obj,
    one_of,
    ref,
    said,
)

_TAG = "Gateway"
_HEALTH = obj({"ok": BOOLEAN, "redis": ref("Check"), "workers": ref("Check")}, {"broker": ref("Check")})
_CARD = obj(
    {
        "id": STRING,
        "description": STRING,
        "model": STRING_OR_NULL,
        "examples": array(STRING),
        "online": BOOLEAN,
    }
)
_CONFIG = obj(
    {
        "title": STRING,
        "auth": one_of(("none", "token")),
        "default_agent": STRING_OR_NULL,
        "version": STRING,
        "ws": said(STRING, "Path of the WebSocket, whose frames are described in docs/protocol.md."),
    }
)

OPERATIONS: dict[str, Operation] = {
    "chatagent.healthz": Operation(
        _TAG,
        "Whether this deployment can answer",
        {200: json_answer(_HEALTH, "All is well."), 503: json_answer(_HEALTH, "The body says what is not well.")},
        (),
        who="anybody",
    ),
    "chatagent.agents": Operation(
        _TAG,
        "List what workers have announced",
        {200: json_answer(obj({"agents": array(_CARD)}))},
        (UNAUTHORIZED, UNAVAILABLE),
    ),
    "chatagent.config": Operation(_TAG, "What a page asks first", {200: json_answer(_CONFIG)}, (), who="anybody"),
    "chatagent.playground_token": Operation(
        _TAG,
        "Get a token for the playground",
        {200: json_answer(obj({"token": STRING}), "In development and on this machine alone.")},
        (FORBIDDEN,),
        who="anybody",
    ),
    "chatagent.openapi": Operation(
        _TAG,
        "This document",
        {
            200: json_answer(OBJECT, "An OpenAPI 3.1 document.", {"ETag": "Changes with the document."}),
            304: {"description": "The document is the one that `If-None-Match` names."},
        },
        (),
        headers={"If-None-Match": said(STRING, "`ETag` of the document that the client has.")},
        who="anybody",
    ),
}


def schemas() -> dict[str, Schema]:
    """Schemas of the components, by name."""
    return {"Check": obj({"ok": BOOLEAN}, {"detail": {}, "error": STRING, "ms": {"type": "number"}})}
