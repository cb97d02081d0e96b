"""Sources: what providers cite becomes parts, once per page, where they are wanted."""

from __future__ import annotations

from typing import Any

from chatagent.llm import ModelContext, StreamOptions
from chatagent.llm.citation import sources
from tests.llm.model import DONE, Model, of_kind
from tests.provider import ScriptStep

A, B = "https://a.example/1", "https://b.example/2"
SHOWN = ModelContext(options=StreamOptions(send_sources=True))


def cited(url: str, title: str) -> dict[str, Any]:
    return {"type": "url_citation", "url_citation": {"url": url, "title": title, "start_index": 0, "end_index": 1}}


def event(delta: dict[str, Any], **more: Any) -> ScriptStep:
    chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", **more}
    return {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def pages(chunks: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    return [(chunk["url"], chunk.get("title")) for chunk in of_kind(chunks, "source-url")]


def test_annotations_become_sources_once_per_page(model: Model) -> None:
    answer = [
        event({"content": "a", "annotations": [cited(A, "One")]}),
        event({"annotations": [cited(A, "One"), cited(B, "")]}),
        *DONE,
    ]
    assert pages(model.ask(answer, context=SHOWN)) == [(A, "One"), (B, None)]


def test_pages_that_are_listed_beside_the_answer_become_sources(model: Model) -> None:
    listed = {"citations": [A, B], "search_results": [{"url": A, "title": "One"}]}
    answer = [event({"content": "a"}, **listed), event({"content": "b"}, **listed), *DONE]
    assert pages(model.ask(answer, context=SHOWN)) == [(A, "One"), (B, None)]


def test_sources_are_shown_only_where_they_are_wanted(model: Model) -> None:
    answer = [event({"content": "a", "annotations": [cited(A, "One")]}), *DONE]
    assert pages(model.ask(answer)) == []


def test_a_citation_of_anthropic_is_a_source_when_it_has_an_address() -> None:
    page = {"type": "web_search_result_location", "url": A, "title": "One", "cited_text": "…"}
    assert [(each["url"], each["title"]) for each in sources(citation=page)] == [(A, "One")]
    assert sources(citation={"type": "char_location", "document_title": "x"}) == []
    assert sources([{"type": "file_citation"}]) == []
