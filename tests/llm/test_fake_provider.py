"""The fake provider, told what to do by the text of the user: what tests of other processes rely on."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from chatagent.llm import tool
from tests import provider as provider_module
from tests.llm.model import DEADLINE_S, Chunk, Model, kinds, of_kind
from tests.loopback import LOOPBACK
from tests.provider import FakeProvider


@tool
async def get_weather(city: str) -> str:
    """The weather."""
    return f"sunny in {city}"


@tool
async def count(upto: int) -> int:
    """Count."""
    return upto


def ask(model: Model, text: str, **options: Any) -> list[Chunk]:
    return model.ask(messages=[{"role": "user", "content": text}], **options)


def text_of(chunks: list[Chunk]) -> str:
    return "".join(chunk["delta"] for chunk in of_kind(chunks, "text-delta"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("say 3 chunks", "w0 w1 w2 "),
        ("say 2 chunks every 1 ms", "w0 w1 "),
        ("reason please", "I thought about it."),
        ("good morning", "You said: good morning"),
        ("call get_weather {\"city\": \"Rome\"}", "The tools said: sunny in Rome"),
        ("tools in Rome", "The tools said: sunny in tools in Rome and 1"),
        ('[[{"content": "scripted"}, {"finish": "stop"}]]', "scripted"),
        ('{"responses": [[{"content": "scripted"}, {"finish": "stop"}]]}', "scripted"),
    ],
)  # fmt: skip
def test_the_text_says_what_is_answered(model: Model, text: str, said: str) -> None:
    assert text_of(ask(model, text, tools=[get_weather, count])) == said


def test_a_script_in_the_text_has_one_answer_per_model_call(model: Model) -> None:
    calling = [{"tool": [{"id": "c1", "name": "count", "args": '{"upto": 3}'}]}, {"finish": "tool_calls"}]
    chunks = ask(model, json.dumps([calling, [{"content": "counted"}, {"finish": "stop"}]]), tools=[count])
    assert of_kind(chunks, "tool-output-available")[0]["output"] == 3
    assert text_of(chunks) == "counted"


@pytest.mark.parametrize("text", ["error", "http 500"])
def test_the_text_can_ask_for_a_failure(model: Model, text: str) -> None:
    assert "error" in kinds(ask(model, text))


def test_a_hanging_answer_ends_when_the_client_leaves(model: Model) -> None:
    async def leave() -> bool:
        stream = model.stream(messages=[{"role": "user", "content": "hang"}]).to_ui_message_stream()
        async for chunk in stream:
            if chunk["type"] == "text-delta":
                break
        await stream.aclose()
        return await asyncio.to_thread(model.provider.closed_early.wait, DEADLINE_S)

    assert model.run(leave())


def test_it_can_be_a_process_of_its_own() -> None:
    command = [sys.executable, str(Path(provider_module.__file__)), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        body = {"stream": True, "messages": [{"role": "user", "content": "say 1 chunks"}]}
        answer = httpx.post(f"{url}/chat/completions", json=body, timeout=DEADLINE_S, **LOOPBACK)
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.text.endswith("data: [DONE]\n\n")
        assert '"w0 "' in answer.text
    finally:
        process.terminate()
        process.communicate(timeout=DEADLINE_S)


def test_what_was_scripted_comes_before_what_the_text_says(provider: FakeProvider) -> None:
    provider.script([{"http": 418}])
    body = {"stream": True, "messages": [{"role": "user", "content": "say 1 chunks"}]}
    url = f"{provider.url}/chat/completions"
    statuses = [httpx.post(url, json=body, timeout=DEADLINE_S, **LOOPBACK).status_code for _ in range(2)]
    assert statuses == [418, 200]
    assert provider.requests[0].body == body
