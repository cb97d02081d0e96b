"""The document says what the app has, no more and no less, and is valid."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator
from werkzeug.test import TestResponse

from chatagent.errors import BadRequest
from chatagent.flask.openapi.chunk import chunk_schema
from chatagent.flask.openapi.document import LEFT_OUT, OPERATIONS
from chatagent.ui import validate_chunk
from tests.openapi.conftest import PREFIX

_OF_FLASK = {"static"}
_SAMPLES = {"string": "x", "boolean": True, "array": [], "object": {}}


def _endpoints(app: Flask) -> set[str]:
    return {rule.endpoint for rule in app.url_map.iter_rules()} - _OF_FLASK


def _told(response: TestResponse) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(response.data)
    return told


def test_every_route_is_documented_or_left_out_for_a_reason(app: Flask) -> None:
    assert _endpoints(app) == {*OPERATIONS, *LEFT_OUT}
    assert not OPERATIONS.keys() & LEFT_OUT.keys()


def test_the_document_has_the_paths_and_methods_of_the_app(app: Flask) -> None:
    told = _told(app.test_client().get(f"{PREFIX}/openapi.json"))
    shown = {(method.upper(), path) for path, each in told["paths"].items() for method in each}
    served = {
        (method, re.sub(r"<(?:[^<>]*:)?(\w+)>", r"{\1}", rule.rule).removeprefix(PREFIX))
        for rule in app.url_map.iter_rules()
        if rule.endpoint in OPERATIONS
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert shown == served


def test_the_document_is_valid_openapi(app: Flask) -> None:
    told = _told(app.test_client().get(f"{PREFIX}/openapi.json"))
    assert [error.message for error in OpenAPIV31SpecValidator(told).iter_errors()] == []
    assert told["openapi"].startswith("3.1")
    names = [each["operationId"] for path in told["paths"].values() for each in path.values()]
    assert len(names) == len(set(names)) == len(OPERATIONS)


def test_every_component_is_used(app: Flask) -> None:
    response = app.test_client().get(f"{PREFIX}/openapi.json")
    schemas, said = _told(response)["components"]["schemas"], response.text
    unused = {name for name in schemas if f'"#/components/schemas/{name}"' not in said}
    assert unused == set()


def test_the_server_of_the_document_is_where_the_gateway_is_mounted(app: Flask) -> None:
    client = app.test_client()
    assert _told(client.get(f"{PREFIX}/openapi.json"))["servers"] == [{"url": PREFIX}]
    behind = client.get(f"{PREFIX}/openapi.json", environ_overrides={"SCRIPT_NAME": "/shifted"})
    assert _told(behind)["servers"] == [{"url": f"/shifted{PREFIX}"}]


def test_who_has_the_document_is_not_sent_it_again(app: Flask) -> None:
    client = app.test_client()
    first = client.get(f"{PREFIX}/openapi.json")
    again = client.get(f"{PREFIX}/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    other = client.get(f"{PREFIX}/openapi.json", headers={"If-None-Match": '"other"'})
    assert (first.status_code, again.status_code, other.status_code) == (200, 304, 200)
    assert again.data == b""
    assert again.headers["ETag"] == first.headers["ETag"]


def test_the_schema_of_a_chunk_wants_what_clients_want() -> None:
    *kinds, data = chunk_schema()["anyOf"]
    for schema in kinds:
        kind = schema["properties"]["type"]["const"]
        chunk = {name: _SAMPLES[schema["properties"][name]["type"]] for name in schema["required"]}
        chunk["type"] = kind
        validate_chunk(chunk)
        for name in set(schema["required"]) - {"type"}:
            with pytest.raises(BadRequest, match=name):
                validate_chunk({each: value for each, value in chunk.items() if each != name})
    assert data["required"] == ["type"]


def test_the_schema_of_a_chunk_knows_every_kind() -> None:
    known = {each["properties"]["type"]["const"] for each in chunk_schema()["anyOf"][:-1]}
    with pytest.raises(BadRequest, match="no such chunk"):
        validate_chunk({"type": "unheard-of"})
    for kind in ("start", "finish", "tool-approval-response", "reset-step", "steering-message"):
        assert kind in known
