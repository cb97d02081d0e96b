"""The OpenAPI document: what the doors say of their routes, joined with the app's own map of URLs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from werkzeug.routing import Rule

from chatagent.flask.message import MAX_ID
from chatagent.flask.openapi import chat, openai, other, realtime, session
from chatagent.flask.openapi.fault import Shape, fault_schemas
from chatagent.flask.openapi.message import message_schemas
from chatagent.flask.openapi.operation import NAME, Operation
from chatagent.flask.openapi.schema import Schema

#: What the document says, by endpoint.
OPERATIONS: dict[str, Operation] = {
    **chat.OPERATIONS,
    **session.OPERATIONS,
    **realtime.OPERATIONS,
    **openai.OPERATIONS,
    **other.OPERATIONS,
}
_NOT_SERVED = "answers 422 whatever is asked: the client learns in words that this is not served"
#: Endpoints that the document leaves out, and why.
LEFT_OUT = {
    "chatagent.page": "a page for people",
    "chatagent.page_file": "files of the page",
    "chatagent_openai.unserved": "parts of OpenAI's API that are answered with 404",
    "chatagent.chat_socket": "a WebSocket: docs/protocol.md",
    "chatagent.credentials": _NOT_SERVED,
}
_OPENAI = "chatagent_openai."
#: Methods that Flask answers by itself.
_IMPLIED = {"HEAD", "OPTIONS"}


def build(rules: Iterable[Rule], *, prefix: str, server: str, title: str, version: str) -> dict[str, Any]:
    """The document of an app with these rules. `prefix` is left out of the paths, `server` is where they start."""
    paths: dict[str, dict[str, Any]] = {}
    for rule in sorted(rules, key=lambda each: each.rule):
        operation = OPERATIONS.get(rule.endpoint)
        if operation is not None:
            template, names = _template(rule)
            paths.setdefault(template.removeprefix(prefix), {}).update(_methods(rule, operation, names))
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "summary": "Durable AI chats: every HTTP door of the gateway."},
        "servers": [{"url": server}],
        "tags": [{"name": name} for name in dict.fromkeys(each.tag for each in OPERATIONS.values())],
        "paths": paths,
        "components": {"schemas": _schemas(), "parameters": _PARAMETERS, "securitySchemes": _SECURITY},
    }


def _methods(rule: Rule, operation: Operation, names: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    shape: Shape = "openai" if rule.endpoint.startswith(_OPENAI) else "ours"
    name = rule.endpoint.partition(".")[2]
    for method in sorted((rule.methods or set()) - _IMPLIED):
        yield method.lower(), operation.to_json(name, names, shape)


def _template(rule: Rule) -> tuple[str, list[str]]:
    """A rule's path as OpenAPI writes it, and its parameters in order."""
    parts, names = [], []
    for literal, converter, name in _pieces(rule.rule):
        parts.append(literal)
        if converter:
            names.append(name)
            parts.append(f"{{{name}}}")
    return "".join(parts), names


def _pieces(rule: str) -> Iterator[tuple[str, bool, str]]:
    while rule:
        literal, opened, rest = rule.partition("<")
        inside, _, rule = rest.partition(">")
        yield literal, bool(opened), inside.rpartition(":")[2]


def _schemas() -> dict[str, Schema]:
    doors = (chat.schemas(), session.schemas(), realtime.schemas(), openai.schemas(), other.schemas())
    merged = {**message_schemas(), **fault_schemas()}
    for door in doors:
        merged.update(door)
    return merged


_PARAMETERS = {
    "ChatId": {
        "name": "chat_id",
        "in": "path",
        "required": True,
        "description": f"The app's own id of the chat (1 to {MAX_ID} printable characters), or its `session_…` id.",
        "schema": NAME,
    }
}
_SECURITY = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token signed with the secret key (HS256, `scopes`), or the secret key itself: a server.",
    },
    "host": {
        "type": "apiKey",
        "in": "cookie",
        "name": "session",
        "description": "However the app that mounts the gateway knows its users (`identify`), often its cookie.",
    },
}
