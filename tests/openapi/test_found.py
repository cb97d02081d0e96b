"""What trying out the document found: once each was answered with 500, or taken although it made no sense."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.flask.gateway_app import SECRET
from tests.flask.gateway_process import GatewayProcess
from tests.flask.talk import body, user

_COMPLETIONS, _RESPONSES, _CONVERSATIONS = "/v1/chat/completions", "/v1/responses", "/v1/conversations"
_SESSIONS = "/api/v1/sessions"
#: Half of a character of two UTF-16 units, as JSON can say it.
_HALF = "\ud83d"


def _completion(messages: Any = None, **further: Any) -> dict[str, Any]:
    asked = messages if messages is not None else [{"role": "user", "content": "hi"}]
    return {"model": "echo", "messages": asked, **further}


def _said(part: dict[str, Any]) -> dict[str, Any]:
    return _completion([{"role": "user", "content": [part]}])


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        (_COMPLETIONS, _completion(stream=True, stream_options="all")),
        (_COMPLETIONS, _completion(stream="yes")),
        (_COMPLETIONS, _completion([{"role": "assistant", "tool_calls": [{"id": "c", "function": "f"}]}])),
        (_COMPLETIONS, _said({"type": "input_audio", "input_audio": "abc"})),
        (_COMPLETIONS, _said({"type": "file", "file": "abc"})),
        (_COMPLETIONS, _completion(metadata={"chat_id": "/absolute"})),
        (_COMPLETIONS, _completion(metadata={"chat_id": "session_of_mine"})),
        (_RESPONSES, {"model": "echo", "input": "hi", "background": 1}),
        (_RESPONSES, {"model": "echo", "input": "hi", "instructions": {"be": "kind"}}),
        (_RESPONSES, {"model": "echo", "input": "hi", "conversation": ".."}),
        (_CONVERSATIONS, {"metadata": 0}),
        (_CONVERSATIONS, {"metadata": {"model": "echo"}, "items": 0}),
        ("/api/chat/open/action?ai=9", {"action": "wave"}),
        ("/api/chat", body("/absolute", "hi")),
        ("/api/chat", body("..", "hi")),
        ("/api/chat", {"id": "open", "message": {**user("hi", "u9"), "parts": [{"type": "tool-x", "toolCallId": {}}]}}),
        (_SESSIONS, {"taskIdentifier": "echo", "metadata": {"a": _HALF}}),
        (_SESSIONS, {"taskIdentifier": "echo", "tags": [_HALF]}),
        (f"{_SESSIONS}/open/close", {"reason": _HALF}),
    ],
)
def test_what_makes_no_sense_is_a_bad_request(busy_gateway: GatewayProcess, path: str, asked: dict[str, Any]) -> None:
    with busy_gateway.http(SECRET) as http:
        response = http.post(path, content=json.dumps(asked))
    assert response.status_code == 400, response.text


def test_only_a_body_that_is_not_there_stands_for_an_empty_object(busy_gateway: GatewayProcess) -> None:
    with busy_gateway.http(SECRET) as http:
        assert http.post(f"{_SESSIONS}/open/tokens", content=b"").status_code == 201
        assert http.post(f"{_SESSIONS}/open/tokens", content=b" \n").status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        f"{_CONVERSATIONS}/open/items?order=up",
        "/api/chats?cursor=99999999999999999999999999999-session_x",
        "/api/chats?limit=%D9%A3",
        f"{_CONVERSATIONS}/open/items?limit=%D9%A3",
    ],
)
def test_a_query_that_makes_no_sense_is_a_bad_request(busy_gateway: GatewayProcess, path: str) -> None:
    with busy_gateway.http(SECRET) as http:
        response = http.get(path)
    assert response.status_code == 400, response.text


@pytest.mark.parametrize("query", ["stream=maybe", "starting_after=x", "stream=true&starting_after=-"])
def test_a_response_is_followed_from_a_number(busy_gateway: GatewayProcess, query: str) -> None:
    with busy_gateway.http(SECRET) as http:
        made = http.post(_RESPONSES, json={"model": "echo", "input": "hi"}).json()["id"]
        response = http.get(f"{_RESPONSES}/{made}?{query}")
    assert response.status_code == 400, response.text


def test_a_message_with_half_a_character_can_be_read_again(busy_gateway: GatewayProcess) -> None:
    with busy_gateway.http(SECRET) as http:
        assert http.post("/api/chat", content=json.dumps(body("halves", _HALF, "u-half"))).status_code == 200
        history = http.get(f"{_SESSIONS}/halves/history")
        items = http.get(f"{_CONVERSATIONS}/halves/items")
    assert history.status_code == 200, history.text
    assert items.status_code == 200, items.text
    assert history.json()["messages"][0]["parts"][0]["text"] == _HALF


def test_a_part_with_a_call_that_has_no_name_does_not_lock_the_chat(busy_gateway: GatewayProcess) -> None:
    answers = {"id": "a", "role": "assistant", "parts": [{"type": "tool-x", "toolCallId": ["c"], "state": {}}]}
    with busy_gateway.http(SECRET) as http:
        refused = http.post("/api/chat", json={"id": "open", "message": answers})
        assert refused.status_code == 400, refused.text
        assert http.get(f"{_SESSIONS}/open/history").status_code == 200
