"""Tokens and money: what a model call used, in one shape for every provider."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one model call, or the sum over the steps of an answer.

    `input_tokens` includes those read from and written to a cache, `output_tokens` the reasoning. `None` is not told by
    the provider.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    #: What the provider says, else litellm's price table; None where neither knows. A sum holds what is known.
    cost_usd: float | None = None

    def __add__(self, other: Usage) -> Usage:
        names = [each.name for each in fields(self)]
        return Usage(**{name: _plus(getattr(self, name), getattr(other, name)) for name in names})

    def to_dict(self) -> dict[str, Any]:
        """What is known, in the AI SDK's names, those of 5 included; `cost` is in USD. Fit for message metadata."""
        return _known(
            inputTokens=self.input_tokens,
            outputTokens=self.output_tokens,
            totalTokens=self.total_tokens,
            reasoningTokens=self.reasoning_tokens,
            cachedInputTokens=self.cache_read_tokens,
            inputTokenDetails=_known(cacheReadTokens=self.cache_read_tokens, cacheWriteTokens=self.cache_write_tokens),
            outputTokenDetails=_known(reasoningTokens=self.reasoning_tokens),
            cost=self.cost_usd,
        )


def from_openai(usage: Any, cost_usd: float | None = None) -> Usage:
    """Read OpenAI's usage object, or litellm's, which carries every provider's figures in the same fields."""
    prompt = getattr(usage, "prompt_tokens_details", None)
    completion = getattr(usage, "completion_tokens_details", None)
    return Usage(
        input_tokens=getattr(usage, "prompt_tokens", None),
        output_tokens=getattr(usage, "completion_tokens", None),
        total_tokens=getattr(usage, "total_tokens", None),
        reasoning_tokens=getattr(completion, "reasoning_tokens", None),
        cache_read_tokens=_first(prompt, "cached_tokens", usage, "cache_read_input_tokens"),
        cache_write_tokens=_first(usage, "cache_creation_input_tokens", prompt, "cache_creation_tokens"),
        cost_usd=cost_usd,
    )


def _first(one: Any, name: str, other: Any, other_name: str) -> Any:
    found = getattr(one, name, None)
    return found if found is not None else getattr(other, other_name, None)


def _known(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None and value != {}}


def _plus(one: Any, other: Any) -> Any:
    if one is None:
        return other
    return one if other is None else one + other
