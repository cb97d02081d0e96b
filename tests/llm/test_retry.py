"""Failed model calls: tried again only while the client has seen nothing, and only when that can help."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatagent.llm import ModelError, retry
from chatagent.llm.retry import backoff_s
from tests.llm.model import DONE, Model, call, calling, kinds, of_kind
from tests.provider import ScriptStep


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait milliseconds instead of seconds."""
    monkeypatch.setattr(retry, "BASE_S", 0.001)


def refuse(status: int, **more: Any) -> list[ScriptStep]:
    return [{"http": status, **more}]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "failure",
    [
        refuse(429),
        refuse(500),
        refuse(503),
        [{"destroy": True}],
        [{"error": {"message": "overloaded"}}],
        [{"close": True}],
    ],
    ids=["429", "500", "503", "cut", "error event", "empty"],
)
def test_a_failure_before_the_first_word_is_not_seen(model: Model, failure: list[ScriptStep]) -> None:
    chunks = model.ask(failure, failure, DONE, max_retries=2)
    assert kinds(chunks) == ["start", "start-step", "text-start", "text-delta", "text-end", "finish-step", "finish"]
    assert len(model.provider.requests) == 3


@pytest.mark.usefixtures("quick")
def test_after_the_last_retry_the_failure_is_told_once(model: Model) -> None:
    chunks = model.ask(refuse(500), refuse(500), max_retries=1)
    assert kinds(chunks) == ["start", "error"]
    assert len(model.provider.requests) == 2


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_request_that_cannot_succeed_is_not_repeated(model: Model, status: int) -> None:
    model.ask(refuse(status), DONE, max_retries=2)
    assert len(model.provider.requests) == 1


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "seen", [{"content": "par"}, {"reasoning": "hm"}, call("w", "{")], ids=["text", "reasoning", "call"]
)
def test_nothing_is_repeated_once_the_client_has_seen_something(model: Model, seen: ScriptStep) -> None:
    chunks = model.ask([seen, {"error": {"message": "overloaded"}}], DONE, max_retries=2, fallbacks=["openai/other"])
    assert len(of_kind(chunks, "error")) == 1
    assert len(model.provider.requests) == 1


@pytest.mark.usefixtures("quick")
def test_a_later_step_is_retried_by_itself(model: Model) -> None:
    chunks = model.ask(calling(call("nope")), refuse(503), DONE, max_retries=1)
    assert kinds(chunks)[-1] == "finish"
    assert model.told[1] == model.told[2]


@pytest.mark.usefixtures("quick")
def test_fallback_models_come_after_the_retries(model: Model) -> None:
    chunks = model.ask(
        refuse(503), refuse(503), refuse(401), DONE, max_retries=1, fallbacks=["openai/second", "openai/third"]
    )
    assert [request.body["model"] for request in model.provider.requests] == ["fake", "fake", "second", "third"]
    assert kinds(chunks)[-1] == "finish"


def test_a_provider_that_says_when_is_heeded(model: Model) -> None:
    before = time.monotonic()
    model.ask(refuse(429, headers={"retry-after": "0.2"}), DONE, max_retries=1)
    assert time.monotonic() - before >= 0.2


@given(attempt=st.integers(0, 50), jitter=st.floats(0, 1))
def test_waits_grow_and_stay_bounded(attempt: int, jitter: float) -> None:
    wait_s = backoff_s(attempt, ModelError("x", retryable=True), jitter=jitter)
    longest = min(retry.CAP_S, retry.BASE_S * 2**attempt)
    assert wait_s is not None
    assert longest / 2 <= wait_s <= longest


def test_who_must_wait_too_long_need_not_wait() -> None:
    assert backoff_s(0, ModelError("x", retryable=True, retry_after_s=3600)) is None
    assert backoff_s(0, ModelError("x", retryable=True, retry_after_s=3)) == 3
    assert backoff_s(0, ModelError("x", retryable=False, retry_after_s=3)) is None
