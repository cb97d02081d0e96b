"""Tokens and money: what a model call used, in one shape for every provider."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one model call, or the sum over the steps of an answer.

    `input_tokens` includes the cached ones, `output_tokens` the reasoning. `None` is not told by the provider.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    #: By litellm's price table; None for a model that is not in it.
    cost_usd: float | None = None

    def __add__(self, other: Usage) -> Usage:
        names = [each.name for each in fields(self)]
        return Usage(**{name: _plus(getattr(self, name), getattr(other, name)) for name in names})

    def to_dict(self) -> dict[str, int | float]:
        """What is known, in the AI SDK's names (`inputTokens`, …); fit for message metadata."""
        known = ((name, getattr(self, field)) for field, name in _NAMES.items())
        return {name: value for name, value in known if value is not None}


_NAMES = {
    "input_tokens": "inputTokens",
    "output_tokens": "outputTokens",
    "total_tokens": "totalTokens",
    "reasoning_tokens": "reasoningTokens",
    "cached_input_tokens": "cachedInputTokens",
    "cache_write_tokens": "cacheWriteTokens",
    "cost_usd": "costUsd",
}


def from_openai(usage: Any, cost_usd: float | None = None) -> Usage:
    """Read OpenAI's usage object, or litellm's, which carries every provider's figures in the same fields."""
    prompt = getattr(usage, "prompt_tokens_details", None)
    completion = getattr(usage, "completion_tokens_details", None)
    cached = getattr(prompt, "cached_tokens", None)
    return Usage(
        input_tokens=getattr(usage, "prompt_tokens", None),
        output_tokens=getattr(usage, "completion_tokens", None),
        total_tokens=getattr(usage, "total_tokens", None),
        reasoning_tokens=getattr(completion, "reasoning_tokens", None),
        cached_input_tokens=cached if cached is not None else getattr(usage, "cache_read_input_tokens", None),
        cache_write_tokens=getattr(usage, "cache_creation_input_tokens", None),
        cost_usd=cost_usd,
    )


def _plus(one: Any, other: Any) -> Any:
    if one is None:
        return other
    return one if other is None else one + other
