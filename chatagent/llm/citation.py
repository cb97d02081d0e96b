"""What a model cites, in every provider's form, as source parts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from chatagent.ids import new_id

Chunk = dict[str, Any]


def sources(
    annotations: Iterable[Any] = (),
    citations: Sequence[Any] = (),
    results: Sequence[Any] = (),
    citation: Mapping[str, Any] | None = None,
) -> list[Chunk]:
    """Source parts of a delta.

    `annotations` are OpenAI's (litellm makes them of Gemini's groundings, too), `citations` and `results` Perplexity's
    and xAI's lists of pages, `citation` is Anthropic's. The same page may come again with every delta.
    """
    pages = [
        *((each.get("url"), each.get("title")) for each in _cited(annotations, "url_citation")),
        *((each.get("url"), each.get("title")) for each in results if isinstance(each, Mapping)),
        *((each, None) for each in citations if isinstance(each, str)),
        *([(citation.get("url"), citation.get("title"))] if citation is not None else ()),
    ]
    return [_source(url, title) for url, title in pages if url]


def _cited(annotations: Iterable[Any], kind: str) -> Iterator[Mapping[str, Any]]:
    for annotation in annotations:
        cited = dict(annotation).get(kind)
        if isinstance(cited, Mapping):
            yield cited


def _source(url: str, title: Any) -> Chunk:
    return {"type": "source-url", "sourceId": new_id(), "url": url, **({"title": title} if title else {})}
