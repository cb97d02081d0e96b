"""What the client raises for each refusal, also for those of servers on the way to the gateway."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatagent.client import Chat
from chatagent.client.refusal import refusal
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


def told(status: int, body: Any = None, **headers: str) -> ChatAgentError:
    sent = b"<html>proxy</html>" if body is None else json.dumps(body).encode()
    return refusal(Reply(status, headers, sent))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequest),
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (405, BadRequest),
        (409, Busy),
        (422, BadRequest),
        (429, Retryable),
        (500, ChatAgentError),
        (502, Retryable),
        (503, Retryable),
        (504, Retryable),
    ],
)
def test_each_status_is_an_error_of_its_own(status: int, kind: type[ChatAgentError]) -> None:
    assert type(told(status)) is kind
    assert str(told(status)) == f"the gateway answered {status}"
    assert str(told(status, {"error": "the mend", "code": "x"})) == "the mend"


def test_what_the_gateway_says_more_is_kept() -> None:
    bad = told(400, {"error": "id: must be a string", "code": "bad_request", "field": "id"})
    assert isinstance(bad, BadRequest)
    assert (bad.field, bad.reason) == ("id", "must be a string")
    closed = told(409, {"error": "closed", "code": "session_closed", "closedReason": "done"})
    assert isinstance(closed, Closed)
    assert closed.closed_reason == "done"
    later = told(429, {"error": "slow down"}, **{"retry-after": "7"})
    assert isinstance(later, Retryable)
    assert later.after_s == 7


def test_a_request_that_a_proxy_finds_too_large_names_no_limit() -> None:
    large = told(413)
    assert isinstance(large, TooLarge)
    assert large.limit_bytes is None
    assert "a server on the way allows" in str(large)


def test_an_address_that_moved_is_told() -> None:
    moved = told(308, location="https://you.example/chat")
    assert isinstance(moved, ConfigError)
    assert "https://you.example/chat" in str(moved)


@pytest.mark.parametrize("token", ["", "key\n", " key", "a\nb", "schlüssel", 5])
def test_a_token_that_no_header_carries_is_refused_at_once(token: Any) -> None:
    with pytest.raises(ConfigError, match="token or secret key"):
        Chat("http://127.0.0.1:1", "support", secret_key=token)
    chat = Chat("http://127.0.0.1:1", "support", token=lambda: token)
    with chat, pytest.raises(ConfigError, match="token or secret key"):
        chat.send("hi")
