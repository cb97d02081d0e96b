"""Pieces of a model's answer, the same for every provider: what `provider` reads and `step` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chatagent.llm.usage import Usage


@dataclass(slots=True)
class CallDelta:
    """A piece of a tool call; `id` and `name` come with the first one only."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str | None = None
    extra: Mapping[str, Any] | None = None


@dataclass(slots=True)
class Delta:
    """What one event of the provider's stream adds."""

    content: str | None = None
    reasoning: str | None = None
    calls: Sequence[CallDelta] = ()
    #: In OpenAI's words.
    finish_reason: str | None = None
    usage: Usage | None = None
    thinking_blocks: list[dict[str, Any]] | None = None
    #: Files and sources, as chunks.
    chunks: Sequence[dict[str, Any]] = ()
