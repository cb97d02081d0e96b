"""A scripted model for tests: `model.ask(script, …)` gives the chunks of one answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from chatagent.llm import ModelContext, StreamTextResult, current_context, stream_text
from tests.provider import FakeProvider, ScriptStep

Chunk = dict[str, Any]
T = TypeVar("T")

#: Seconds until a condition counts as missed.
DEADLINE_S = 30.0
QUESTION = [{"role": "user", "content": "hi"}]
DONE: list[ScriptStep] = [{"content": "done"}, {"finish": "stop"}]


def call(name: str, arguments: str = "{}", *, call_id: str = "c1", index: int = 0) -> ScriptStep:
    """A whole tool call."""
    return {"tool": [{"index": index, "id": call_id, "name": name, "args": arguments}]}


def calling(*calls: ScriptStep) -> list[ScriptStep]:
    """An answer that calls tools."""
    return [*calls, {"finish": "tool_calls"}]


def kinds(chunks: Sequence[Chunk]) -> list[str]:
    """The types of the chunks."""
    return [chunk["type"] for chunk in chunks]


def of_kind(chunks: Sequence[Chunk], kind: str) -> list[Chunk]:
    """The chunks of one type."""
    return [chunk for chunk in chunks if chunk["type"] == kind]


class Model:
    """A model at a fake provider."""

    def __init__(self, runner: asyncio.Runner, provider: FakeProvider) -> None:
        self._runner = runner
        self.provider = provider

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run on the loop of the tests."""
        return self._runner.run(work)

    def stream(
        self, *answers: Sequence[ScriptStep], context: ModelContext | None = None, **options: Any
    ) -> StreamTextResult:
        """Script the answers of the provider and start one of ours (lazily)."""
        self.provider.script(*answers)
        given: dict[str, Any] = {"max_retries": 0, "api_base": self.provider.url, "api_key": "k", **options}
        token = current_context.set(context)
        try:
            return stream_text(given.pop("model", "openai/fake"), given.pop("messages", QUESTION), **given)
        finally:
            current_context.reset(token)

    def ask(self, *answers: Sequence[ScriptStep], **options: Any) -> list[Chunk]:
        """All chunks of an answer."""
        return self.run(read(self.stream(*answers, **options)))

    @property
    def told(self) -> list[list[dict[str, Any]]]:
        """The messages of each request that the provider got."""
        return [request.body["messages"] for request in self.provider.requests]


async def read(result: StreamTextResult, on_chunk: Callable[[Chunk], None] | None = None) -> list[Chunk]:
    """All chunks; each is shown to `on_chunk` as it comes."""
    chunks = []
    async for chunk in result:
        chunks.append(chunk)
        if on_chunk is not None:
            on_chunk(chunk)
    return chunks
