"""Prompt caching and what it costs: marks reach the provider, figures come back."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from chatagent.llm import ModelContext, NextStep, StepPlan, Usage, client_tool, load_litellm, tool
from chatagent.llm.usage import from_openai
from tests.llm.model import DONE, Model, read
from tests.provider import ScriptStep

KEPT = {"type": "ephemeral"}
CACHED = {"type": "text", "text": "a long text", "cache_control": {"type": "ephemeral"}}
REFUSED: list[ScriptStep] = [{"http": 400, "body": {"error": {"message": "enough"}}}]


@tool(cache_control=KEPT)
def search(query: str) -> str:
    """Search."""
    return query


@client_tool(cache_control=KEPT)
def confirm(text: str) -> str:
    """Ask the user."""
    raise NotImplementedError


async def hint(step: NextStep) -> StepPlan:
    return {"system": "be brief"}


def test_cache_marks_reach_a_provider_of_openais_form(model: Model) -> None:
    question = {"role": "user", "content": [CACHED, {"type": "text", "text": "why?"}]}
    model.ask(
        DONE,
        model="openrouter/anthropic/claude-sonnet-4",
        system={"content": [CACHED]},
        messages=[question],
        tools=[search],
    )
    body = model.provider.requests[0].body
    assert body["messages"][0] == {"role": "system", "content": [CACHED]}
    assert body["messages"][1]["content"][0] == CACHED
    assert body["tools"][0]["cache_control"] == KEPT


def test_cache_marks_reach_anthropic(model: Model) -> None:
    """Refused after it was read: what counts here is the request."""
    question = {"role": "user", "content": [CACHED, {"type": "text", "text": "why?"}]}
    model.ask(
        REFUSED,
        model="anthropic/claude-sonnet-4-5",
        system={"role": "system", "content": [CACHED]},
        messages=[question],
        tools=[search, confirm],
        context=ModelContext(plan_step=hint),
    )
    body = model.provider.requests[0].body
    assert body["system"] == [CACHED, {"type": "text", "text": "be brief"}]
    assert body["messages"][0]["content"][0] == CACHED
    assert [each["cache_control"] for each in body["tools"]] == [KEPT, KEPT]


def test_marks_survive_a_provider_that_has_no_use_for_them(model: Model) -> None:
    """litellm takes them out of what it is given for that provider; the next one is to have them."""
    system, question = {"content": [CACHED]}, {"role": "user", "content": [CACHED]}
    model.ask(
        REFUSED,
        DONE,
        model="deepseek/deepseek-chat",
        fallbacks=["openrouter/anthropic/claude-sonnet-4"],
        system=system,
        messages=[question],
        tools=[search],
    )
    first, second = (request.body for request in model.provider.requests)
    assert "cache_control" not in str(first)
    assert [message["content"] for message in second["messages"]] == [[CACHED], [CACHED]]
    assert second["tools"][0]["cache_control"] == KEPT
    assert system == {"content": [CACHED]}


def test_figures_of_a_cache_are_told_in_the_ai_sdks_names() -> None:
    sent = SimpleNamespace(
        prompt_tokens=100,
        completion_tokens=5,
        total_tokens=105,
        prompt_tokens_details=SimpleNamespace(cached_tokens=60),
        cache_creation_input_tokens=30,
    )
    usage = from_openai(sent, 0.5).to_dict()
    assert usage["inputTokenDetails"] == {"cacheReadTokens": 60, "cacheWriteTokens": 30}
    assert (usage["cachedInputTokens"], usage["cost"]) == (60, 0.5)
    assert "reasoningTokens" not in usage
    assert "outputTokenDetails" not in usage


def test_a_sum_holds_what_is_known() -> None:
    assert Usage(input_tokens=1, cost_usd=0.5) + Usage(input_tokens=2) == Usage(input_tokens=3, cost_usd=0.5)
    assert Usage().to_dict() == {}


def test_cached_tokens_cost_less(model: Model) -> None:
    def cost(cached: int) -> float:
        details = {"cached_tokens": cached}
        usage = {"prompt_tokens": 1000, "completion_tokens": 0, "total_tokens": 1000, "prompt_tokens_details": details}
        counted: list[dict[str, Any]] = []
        answer: list[ScriptStep] = [*DONE, {"usage": usage}]
        model.run(read(model.stream(answer, model="openai/gpt-4o-mini", context=ModelContext(on_usage=counted.append))))
        return float(counted[0]["cost"])

    price = load_litellm().model_cost["gpt-4o-mini"]
    assert cost(0) == pytest.approx(1000 * price["input_cost_per_token"])
    assert cost(1000) == pytest.approx(1000 * price["cache_read_input_token_cost"])


def test_a_cost_that_the_provider_tells_counts(model: Model) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "cost": 0.25}
    counted: list[dict[str, Any]] = []
    answer: list[ScriptStep] = [*DONE, {"usage": usage}]
    model.run(read(model.stream(answer, context=ModelContext(on_usage=counted.append))))
    assert counted[0]["cost"] == 0.25
