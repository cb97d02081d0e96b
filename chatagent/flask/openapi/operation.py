"""What the document says of one route beyond its path and methods, which are read from the app's own map of URLs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from chatagent.flask.openapi.fault import (
    BAD_REQUEST,
    FORBIDDEN,
    NOT_FOUND,
    TOO_LARGE,
    UNAUTHORIZED,
    UNAVAILABLE,
    Fault,
    Shape,
    fault_responses,
)
from chatagent.flask.openapi.schema import STRING, Schema, one_of, said

#: Who may call: anybody, whoever is known, servers alone.
Who = Literal["anybody", "known", "server"]
_SECURITY: dict[Who, list[dict[str, list[str]]]] = {
    "anybody": [],
    "known": [{"token": []}, {"host": []}],
    "server": [{"token": []}],
}

#: What every call fails with that needs a token and asks Redis; of one chat; and what carries a body.
ASKS: tuple[Fault, ...] = (UNAUTHORIZED, FORBIDDEN, UNAVAILABLE)
OF_CHAT: tuple[Fault, ...] = (*ASKS, NOT_FOUND)
WITH_BODY: tuple[Fault, ...] = (BAD_REQUEST, TOO_LARGE)

#: A part of a path.
NAME: Schema = {"type": "string", "minLength": 1, "format": "printable"}


@dataclass(frozen=True, slots=True)
class Operation:
    """One route. `answers` are responses by status; `faults` are added to them."""

    tag: str
    summary: str
    answers: Mapping[int, dict[str, Any]]
    faults: tuple[Fault, ...] = OF_CHAT
    body: Schema | None = None
    body_required: bool = True
    query: Mapping[str, Schema] = field(default_factory=dict)
    headers: Mapping[str, Schema] = field(default_factory=dict)
    #: Schemas of path parameters that are not the chat's id.
    path: Mapping[str, Schema] = field(default_factory=dict)
    who: Who = "known"
    about: str = ""

    def to_json(self, name: str, path_names: list[str], shape: Shape) -> dict[str, Any]:
        """The operation object; `name` is its operationId, `path_names` are the parameters of its path."""
        found: dict[str, Any] = {"operationId": name, "tags": [self.tag], "summary": self.summary}
        if self.about:
            found["description"] = self.about
        parameters = self._parameters(path_names)
        if parameters:
            found["parameters"] = parameters
        if self.body is not None:
            content = {"application/json": {"schema": self.body}}
            found["requestBody"] = {"required": self.body_required, "content": content}
        answers = {str(status): answer for status, answer in self.answers.items()}
        found["responses"] = {**answers, **fault_responses(self.faults, shape)}
        found["security"] = _SECURITY[self.who]
        return found

    def _parameters(self, path_names: list[str]) -> list[dict[str, Any]]:
        path = [_path_parameter(name, self.path.get(name)) for name in path_names]
        query = [_parameter("query", name, schema) for name, schema in self.query.items()]
        return [*path, *query, *(_parameter("header", name, schema) for name, schema in self.headers.items())]


def _path_parameter(name: str, schema: Schema | None) -> dict[str, Any]:
    if name == "chat_id":
        return {"$ref": "#/components/parameters/ChatId"}
    return {**_parameter("path", name, _named_path(schema or {})), "required": True}


def _named_path(schema: Schema) -> Schema:
    return {"type": "string", **schema} if "pattern" in schema else {**NAME, **schema}


def _parameter(place: str, name: str, schema: Schema) -> dict[str, Any]:
    bare = {key: value for key, value in schema.items() if key != "description"}
    about = {"description": schema["description"]} if "description" in schema else {}
    return {"name": name, "in": place, **about, "schema": bare}


def json_answer(schema: Schema, about: str = "Done.", headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A response with JSON; `headers` are those that it may have, with what they say."""
    content = {"application/json": {"schema": schema}}
    return {"description": about, "content": content, **_named(headers)}


def stream_answer(event: Schema, about: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A response of server-sent events; `event` is the JSON of one event's data (`itemSchema` of OpenAPI 3.2)."""
    content = {"text/event-stream": {"schema": STRING, "x-itemSchema": event}}
    return {"description": about, "content": content, **_named(headers)}


def _named(headers: Mapping[str, str] | None) -> dict[str, Any]:
    if not headers:
        return {}
    return {"headers": {name: {"description": about, "schema": STRING} for name, about in headers.items()}}


#: `?ai=`, the generation of the AI SDK that reads.
AI: Schema = said(one_of(("5", "6", "7")), "Generation of the AI SDK that reads; without it, what all of them accept.")
