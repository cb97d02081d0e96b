"""Signed reasoning: it outlives the turn in the metadata of its part, and goes back to the provider as it came."""

from __future__ import annotations

from typing import Any

from chatagent.llm.delta import Delta
from chatagent.llm.provider import ModelRequest, outgoing
from chatagent.llm.step import StepWriter
from chatagent.ui import fold_message, to_model_messages, validate_chunk
from tests.llm.model import QUESTION, Model

Chunk = dict[str, Any]


def written(*deltas: Delta) -> tuple[StepWriter, list[Chunk]]:
    chunks: list[Chunk] = []
    ids = iter(range(100))
    writer = StepWriter({}, lambda chunk, **_: chunks.append(chunk), lambda: f"p{next(ids)}")
    for delta in deltas:
        writer.add(delta)
    writer.close()
    for chunk in chunks:
        validate_chunk(chunk)
    return writer, chunks


def thought(text: str) -> Delta:
    return Delta(reasoning=text, thinking_blocks=[{"type": "thinking", "thinking": text}])


def signature(sign: str) -> Delta:
    return Delta(thinking_blocks=[{"type": "thinking", "thinking": "", "signature": sign}])


def secret(data: str) -> Delta:
    return Delta(thinking_blocks=[{"type": "redacted_thinking", "data": data}])


def told(chunks: list[Chunk]) -> Any:
    """What a later turn gives back to the provider."""
    return to_model_messages([fold_message(chunks)])[0].get("thinking_blocks")


def test_signed_reasoning_comes_back_in_later_turns_as_within_the_turn() -> None:
    deltas = (thought("a"), thought("b"), signature("s1"), thought("c"), signature("s2"), Delta(content="x"))
    writer, chunks = written(*deltas)
    blocks = [
        {"type": "thinking", "thinking": "ab", "signature": "s1"},
        {"type": "thinking", "thinking": "c", "signature": "s2"},
    ]
    assert writer.step.messages()[0]["thinking_blocks"] == blocks
    assert told(chunks) == blocks
    parts = [part for part in fold_message(chunks)["parts"] if part["type"] == "reasoning"]
    assert [part["providerMetadata"] for part in parts] == [
        {"anthropic": {"signature": "s1"}},
        {"anthropic": {"signature": "s2"}},
    ]


def test_reasoning_that_is_kept_secret_comes_back_too() -> None:
    writer, chunks = written(secret("d1"), secret("d2"), thought("a"), signature("s"), Delta(content="x"))
    assert [block.get("data") for block in writer.step.thinking_blocks] == ["d1", "d2", None]
    assert told(chunks) == writer.step.thinking_blocks


def test_a_signature_without_a_text_is_kept() -> None:
    writer, chunks = written(signature("s"), Delta(content="x"))
    assert told(chunks) == [{"type": "thinking", "thinking": "", "signature": "s"}] == writer.step.thinking_blocks


def test_a_block_that_is_not_what_was_shown_stays_within_the_turn() -> None:
    odd = Delta(reasoning="a", thinking_blocks=[{"type": "thinking", "thinking": '{"text": "a"}', "signature": "s"}])
    writer, chunks = written(odd, Delta(content="x"))
    assert len(writer.step.thinking_blocks) == 1
    assert told(chunks) is None


def test_reasoning_without_a_signature_is_told_as_before() -> None:
    writer, chunks = written(Delta(reasoning="a"), Delta(content="x"))
    assert writer.step.thinking_blocks == []
    assert told(chunks) is None
    assert to_model_messages([fold_message(chunks)])[0]["reasoning_content"] == "a"


def test_openai_is_not_sent_what_others_signed() -> None:
    block = {"type": "thinking", "thinking": "a", "signature": "s"}
    said = {"role": "assistant", "content": "x", "thinking_blocks": [block]}

    def sent(model: str, **params: Any) -> Any:
        return outgoing(ModelRequest(model=model, messages=[said], params=params))[0].get("thinking_blocks")

    assert sent("openai/gpt-4o") is None
    assert sent("anthropic/claude-sonnet-4-5") == [block]
    assert sent("openai/claude", api_base="https://proxy.example") == [block]
    assert said["thinking_blocks"] == [block]


def test_signed_reasoning_reaches_anthropic(model: Model) -> None:
    """Refused after it was read: what counts here is the request."""
    block = {"type": "thinking", "thinking": "a", "signature": "s"}
    said = {"role": "assistant", "content": "x", "reasoning_content": "a", "thinking_blocks": [block]}
    model.ask(
        [{"http": 400, "body": {"error": {"message": "enough"}}}],
        model="anthropic/claude-sonnet-4-5",
        messages=[*QUESTION, said, *QUESTION],
        thinking={"type": "enabled", "budget_tokens": 1024},
    )
    assert model.provider.requests[0].body["messages"][1]["content"][0] == block
