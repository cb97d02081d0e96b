"""Drains a source as a turn does: every chunk is checked as clients check it, and folded."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from chatagent.agent.source import chunks_of
from chatagent.ui import Fold, validate_chunk

Part = dict[str, Any]


@dataclass
class Drained:
    """What a source gave."""

    chunks: list[dict[str, Any]] = field(default_factory=list)
    usage: list[dict[str, Any]] = field(default_factory=list)
    fold: Fold = field(default_factory=lambda: Fold({"id": "m", "role": "assistant", "parts": []}))

    @property
    def types(self) -> list[str]:
        return [chunk["type"] for chunk in self.chunks]

    @property
    def parts(self) -> list[Part]:
        """The parts of the folded message, without the ids and states that are made anew each time."""
        kept = [dict(part) for part in self.fold.message["parts"]]
        for part in kept:
            if part["type"] in ("text", "reasoning"):
                assert part.pop("state") == "done"
                part.pop("id", None)
        return kept

    @property
    def finish_reason(self) -> str | None:
        reasons = [chunk.get("finishReason") for chunk in self.chunks if chunk["type"] == "finish"]
        return reasons[-1] if reasons else None


async def drain_into(found: Drained, source: Any, **options: Any) -> None:
    async with aclosing(chunks_of(source, on_usage=found.usage.append, **options)) as chunks:
        async for chunk in chunks:
            validate_chunk(chunk, major=6)
            found.fold.add(chunk)
            found.chunks.append(chunk)


async def drain(source: Any, **options: Any) -> Drained:
    """All chunks of `source`; its steps are balanced."""
    found = Drained()
    await drain_into(found, source, **options)
    assert found.types.count("start-step") == found.types.count("finish-step")
    return found


def drained(source: Any, **options: Any) -> Drained:
    """The same from outside of a loop."""
    return asyncio.run(drain(source, **options))


def step() -> Part:
    return {"type": "step-start"}


def text(words: str) -> Part:
    return {"type": "text", "text": words}


def reasoning(words: str) -> Part:
    return {"type": "reasoning", "text": words}


def call(name: str, call_id: str, given: Any, output: Any = None) -> Part:
    part = {"type": f"tool-{name}", "toolCallId": call_id, "state": "input-available", "input": given}
    return part if output is None else {**part, "state": "output-available", "output": output}
