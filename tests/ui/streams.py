"""Streams for property tests: any that a careful agent could write, shrinking to small ones."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

Chunk = dict[str, Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
json_values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=6,
)
objects = st.dictionaries(st.sampled_from("klm"), json_values, max_size=2)
provider_metadata = st.dictionaries(st.sampled_from("pq"), objects, min_size=1, max_size=2)
_words = st.text(st.characters(codec="utf-8"), max_size=6)
_SOURCE = {"source": {"type": "source", "sourceType": "url", "id": "s", "url": "https://x.example"}}


def _maybe(draw: Draw, **fields: st.SearchStrategy[Any]) -> Chunk:
    """Each of these fields, or not."""
    return {name: draw(values) for name, values in fields.items() if draw(st.booleans())}


def _text(draw: Draw, number: int) -> Iterator[Chunk]:
    kind = draw(st.sampled_from(["text", "reasoning"]))
    mark = {"id": f"t{number}"}
    yield {"type": f"{kind}-start", **mark, **_maybe(draw, providerMetadata=provider_metadata)}
    for delta in draw(st.lists(_words, max_size=3)):
        yield {"type": f"{kind}-delta", **mark, "delta": delta}
    cited = _maybe(draw, citations=st.just([_SOURCE])) if kind == "text" else {}
    yield {"type": f"{kind}-end", **mark, **cited, **_maybe(draw, providerMetadata=provider_metadata)}


def _whole(draw: Draw, number: int) -> Iterator[Chunk]:
    meta = _maybe(draw, providerMetadata=provider_metadata)
    address = {"mediaType": "image/png", "url": "https://x.example/y.png"}
    yield draw(
        st.sampled_from(
            [
                {"type": "file", **address, **meta},
                {"type": "reasoning-file", **address, **meta},
                {"type": "source-url", "sourceId": f"s{number}", "url": "https://x.example", **meta},
                {"type": "source-document", "sourceId": f"s{number}", "mediaType": "a/b", "title": "T", **meta},
                {"type": "custom", "kind": "provider.kind", **meta},
                {"type": "steering-message", "id": f"m{number}", "parts": [{"type": "text", "text": "wait"}]},
                {"type": "message-metadata", "messageMetadata": {"k": {str(number): number}}},
            ]
        )
    )


def _data(draw: Draw, number: int) -> Iterator[Chunk]:
    shown = _maybe(draw, id=st.sampled_from(["d1", "d2", ""]), transient=st.booleans())
    yield {"type": draw(st.sampled_from(["data-x", "data-y"])), **shown, "data": draw(json_values)}


def _call(draw: Draw, number: int) -> Iterator[Chunk]:
    mark = {"toolCallId": f"c{number}"}
    dynamic = {"dynamic": True} if draw(st.booleans()) else {}
    named = {**mark, "toolName": draw(st.sampled_from(["weather", "my-tool"]))}
    shown = _maybe(draw, title=_words, toolMetadata=objects, providerMetadata=provider_metadata) | dynamic
    value = draw(json_values)
    if draw(st.booleans()):
        encoding = _maybe(draw, inputEncoding=st.sampled_from(["json", "text"]))
        yield {"type": "tool-input-start", **named, **shown, **encoding}
        written = json.dumps(value)
        half = draw(st.integers(0, len(written)))
        for delta in (written[:half], written[half:]):
            yield {"type": "tool-input-delta", **mark, "inputTextDelta": delta}
    if draw(st.integers(0, 9)) == 0:
        yield {"type": "tool-input-error", **named, "input": value, "errorText": "not valid", **dynamic}
        return
    yield {"type": "tool-input-available", **named, "input": value, **shown}
    yield from _answer(draw, number, mark, dynamic)


def _answer(draw: Draw, number: int, mark: Chunk, dynamic: Chunk) -> Iterator[Chunk]:
    result = _maybe(draw, toolMetadata=objects, providerMetadata=provider_metadata) | dynamic
    approved = draw(st.sampled_from([None, None, True, False]))
    if approved is not None:
        asked = _maybe(draw, reason=_words, approvalDescriptor=objects, signature=_words, inputSchemaInput=json_values)
        yield {"type": "tool-approval-request", "approvalId": f"a{number}", **mark, **asked}
        if draw(st.booleans()):
            return
        answer = {"approvalId": f"a{number}", "approved": approved, **_maybe(draw, reason=_words)}
        yield {"type": "tool-approval-response", **answer}
    if approved is False:
        yield {"type": "tool-output-denied", **mark}
        return
    for output in draw(st.lists(json_values, max_size=2)):
        yield {"type": "tool-output-available", **mark, "output": output, "preliminary": True, **dynamic}
    match draw(st.sampled_from(["output", "error", "nothing"])):
        case "output":
            yield {"type": "tool-output-available", **mark, "output": draw(json_values), **result}
        case "error":
            yield {"type": "tool-output-error", **mark, "errorText": draw(_words), **result}


_ITEMS: tuple[Callable[[Draw, int], Iterator[Chunk]], ...] = (_text, _text, _whole, _data, _call, _call)


def _step(draw: Draw, numbers: Iterator[int]) -> Iterator[Chunk]:
    yield {"type": "start-step"}
    for item in draw(st.lists(st.sampled_from(_ITEMS), max_size=4)):
        yield from item(draw, next(numbers))
    yield {"type": "finish-step"}


@st.composite
def streams(draw: Draw) -> list[Chunk]:
    """A whole answer of some steps: valid for clients of 7."""
    numbers = itertools.count(draw(st.integers(0, 3)) * 100)
    chunks: list[Chunk] = [{"type": "start", "messageId": "m1", **_maybe(draw, messageMetadata=objects)}]
    for _ in range(draw(st.integers(0, 3))):
        chunks += _step(draw, numbers)
    return [*chunks, {"type": "finish", "finishReason": "stop", **_maybe(draw, messageMetadata=objects)}]


@st.composite
def broken_streams(draw: Draw) -> list[Chunk]:
    """An answer whose worker died once or twice: the dead step was taken back and done again."""
    chunks: list[Chunk] = [{"type": "start", "messageId": "m1"}]
    numbers = itertools.count()
    for _ in range(draw(st.integers(1, 3))):
        for _ in range(draw(st.integers(0, 2))):
            dead = list(_step(draw, numbers))
            chunks += dead[: draw(st.integers(1, len(dead) - 1))] if len(dead) > 2 else dead[:1]
            chunks.append({"type": "reset-step"})
        redone = list(_step(draw, numbers))
        chunks += redone[1:] if chunks[-1]["type"] == "reset-step" else redone
    return [*chunks, {"type": "finish", "finishReason": "stop"}]
