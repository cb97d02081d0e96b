"""What the document says of streams, and of callers without a token or a gateway without Redis, tried by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from flask import Flask
from openapi_schema_validator import OAS31Validator

from tests.flask.gateway_app import SECRET
from tests.flask.gateway_process import GatewayProcess
from tests.flask.talk import body
from tests.openapi.conftest import PREFIX

Document = dict[str, Any]


@pytest.fixture
def fits(document: Document) -> Callable[[Any, str], None]:
    """Checks a value against the events of an operation's stream."""

    def check(value: Any, name: str) -> None:
        (operation,) = (each for _, _, each in _operations(document) if each["operationId"] == name)
        event = operation["responses"]["200"]["content"]["text/event-stream"]["x-itemSchema"]
        OAS31Validator({**event, "components": document["components"]}).validate(value)

    return check


def _operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path.format(chat_id="open", name="echo", side="out"), method, operation


def _events(response: httpx.Response) -> list[Any]:
    """The data of a whole stream's events."""
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "text/event-stream"
    data = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    return [json.loads(each) for each in data if each != "[DONE]"]


def test_an_answer_is_a_stream_of_chunks(busy_gateway: GatewayProcess, fits: Callable[[Any, str], None]) -> None:
    with busy_gateway.http(SECRET) as http:
        chunks = _events(http.post("/api/chat", json=body("streamed", "hi")))
    assert [chunk["type"] for chunk in chunks][-1] == "finish"
    for chunk in chunks:
        fits(chunk, "chat")


def test_the_outbox_is_a_stream_of_batches(busy_gateway: GatewayProcess, fits: Callable[[Any, str], None]) -> None:
    with busy_gateway.http(SECRET, **{"Timeout-Seconds": "1", "X-Peek-Settled": "1"}) as http:
        http.post("/api/chat", json=body("batched", "hi"))
        batches = _events(http.get("/realtime/v1/sessions/batched/out"))
    assert any(record["body"] for batch in batches for record in batch["records"])
    for batch in batches:
        fits(batch, "follow_records")


def test_the_feed_of_chats_starts_with_a_page(busy_gateway: GatewayProcess, fits: Callable[[Any, str], None]) -> None:
    with busy_gateway.http(SECRET) as http, http.stream("GET", "/api/chats/feed?limit=5") as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        lines = response.iter_lines()
        first = next(line for line in lines if line.startswith("event: "))
        page = json.loads(next(lines).removeprefix("data: "))
    assert first == "event: chats"
    assert page["chats"]
    fits(page, "chats_feed")


@pytest.mark.parametrize(
    ("path", "asked", "name"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}, "chat_completions"),
        ("/v1/responses", {"input": "hi"}, "response_create"),
    ],
)
def test_openai_streams_are_as_told(
    busy_gateway: GatewayProcess, fits: Callable[[Any, str], None], path: str, asked: dict[str, Any], name: str
) -> None:
    with busy_gateway.http(SECRET) as http:
        events = _events(http.post(path, json={"model": "echo", "stream": True, **asked}))
    assert len(events) > 2
    for event in events:
        fits(event, name)


def test_only_what_needs_no_token_answers_without_one(busy_gateway: GatewayProcess, document: Document) -> None:
    with busy_gateway.http() as http:
        for path, method, operation in _operations(document):
            response = http.request(method, path)
            assert (response.status_code == 401) == bool(operation["security"]), (method, path)
            assert str(response.status_code) in operation["responses"], (method, path)


def test_what_is_for_servers_is_refused_to_a_user(busy_gateway: GatewayProcess, document: Document) -> None:
    with busy_gateway.http(busy_gateway.token("read:all", "write:all", user="u")) as http:
        for path, method, operation in _operations(document):
            if operation["security"] == [{"token": []}]:
                assert http.request(method, path).status_code == 403, (method, path)


def test_without_redis_answers_are_as_told(app: Flask) -> None:
    document = json.loads(app.test_client().get(f"{PREFIX}/openapi.json").data)

    def ask(path: str, operation: Document) -> int:
        response = app.test_client().get(f"{PREFIX}{path}", headers={"Authorization": f"Bearer {SECRET}"})
        assert str(response.status_code) in operation["responses"], (path, response.status_code)
        return response.status_code

    # All at once: each tries for a while to reach Redis.
    with ThreadPoolExecutor(32) as pool:
        asked = [
            pool.submit(ask, path, operation)
            for path, method, operation in _operations(document)
            if method == "get" and operation["operationId"] != "chats_feed"
        ]
        assert [each.result() for each in asked].count(503) > 10
