"""What `stream_text` makes of scripted model streams, through litellm and real HTTP: the chunks of AI SDK 7.

`stream.cases.ndjson` and `stream.more.cases.ndjson` are the scripts, `stream.v7.ndjson` and `stream.more.v7.ndjson`
what `streamText` of ai 7.0.173 made of them. Compared are the chunks and the messages that reach the model; generated
ids and the order in which tools finish are left aside.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, model_validator

from chatagent.llm import (
    ModelContext,
    StreamOptions,
    Tool,
    close_clients,
    current_context,
    step_count_is,
    stream_text,
)
from chatagent.signal import AbortController
from chatagent.ui import to_model_messages
from tests.provider import LITELLM_WARNINGS, FakeProvider

Case = dict[str, Any]
Chunk = dict[str, Any]

pytestmark = pytest.mark.filterwarnings(*LITELLM_WARNINGS)

_DATA = Path(__file__).parent / "data"
#: Cases whose chunks are meant to differ, and why.
EXPECTED_DIFFERENCES = {
    "destroy mid": "a connection lost inside the model's stream ends the SDK's own response; ours gets an `error`",
    "destroy first": "the text of a refused connection is the HTTP library's",
    "error in tool args": "the SDK calls the model again after an `error`, at which clients have stopped reading",
    "error then more": "OpenAI's client stops at an error event",
    "malformed chunk": "OpenAI's client skips what is no chunk",
    "required err": "one error is enough",
    "no name": "the SDK's response breaks; ours gets an `error`",
    "cont approved + client pending": "the SDK fails; we wait for the client's part of the answer",
    "cont approved unknown tool": "the SDK fails; the model is told that the tool is gone",
}
#: Cases whose requests differ although the chunks do not, and why.
REQUEST_DIFFERENCES = {"cont both": "answers go in the order of their calls; the SDK puts denials first"}
#: Everything after this is in the words of a JSON parser or a schema library.
_PARSER_WORDS = re.compile(r"(?<=\nError message: ).*", re.DOTALL)
_SCRIPTED_CALL = re.compile(r"c\d")
_GENERATED = ("id", "approvalId")

_QUESTION = [{"role": "user", "parts": [{"type": "text", "text": "hi"}]}]


class Error(Exception):
    """What a scripted tool throws; the name is JavaScript's, since it is part of what the model reads."""


class Refused(BaseModel):
    """The input of a tool that refuses whatever it is given."""

    @model_validator(mode="before")
    @classmethod
    def refuse(cls, value: Any) -> Any:
        raise ValueError("schema says no")


def make_tool(name: str, spec: dict[str, Any]) -> Tool:
    """A tool as the case describes it."""

    async def execute(_: Any) -> Any:
        await asyncio.sleep(spec.get("delayMs", 0) / 1000)
        if "error" in spec:
            raise Error(spec["error"])
        return spec.get("result")

    async def preliminary(_: Any) -> AsyncIterator[Any]:
        for output in spec["preliminary"]:
            await asyncio.sleep(spec.get("delayMs", 0) / 1000)
            yield output

    runs: Callable[[Any], Any] = preliminary if "preliminary" in spec else execute
    return Tool(
        name=name,
        description=name,
        input=Refused if spec.get("reject") else spec.get("schema", {"type": "object"}),
        execute=None if spec.get("noExecute") else runs,
        needs_approval=spec.get("needsApproval", False),
        title=spec.get("title"),
        dynamic=spec.get("dynamic", False),
    )


async def run_case(case: Case, provider: FakeProvider) -> tuple[list[Chunk], list[dict[str, Any]]]:
    """The chunks of a case, and the bodies of the requests that reached the provider."""
    provider.reset()
    provider.script(*case["responses"])
    messages = case.get("messages", _QUESTION)
    last = messages[-1]
    continued = last if last["role"] == "assistant" else None
    tools = {name: make_tool(name, spec) for name, spec in case.get("tools", {}).items()}
    abort = AbortController()
    options = StreamOptions(
        on_error=str if case.get("onError") == "message" else None,
        redact_tool_errors=case.get("redactToolErrors", False),
        send_reasoning=case.get("sendReasoning", True),
        send_sources=case.get("sendSources", False),
        message_metadata=_metadata if case.get("metadata") else None,
    )
    token = current_context.set(
        ModelContext(signal=abort.signal, tools=tools, response=continued, options=options, system=case.get("system"))
    )
    try:
        stream = stream_text(
            "openai/fake",
            to_model_messages(messages, keep_tool_calls=_call_ids(continued)),
            tool_choice=_tool_choice(case.get("toolChoice")),
            stop_when=step_count_is(case.get("stepLimit", 5)),
            max_retries=0,
            api_base=provider.url,
            api_key="k",
        ).to_ui_message_stream(send_start=case.get("sendStart", True), send_finish=case.get("sendFinish", True))
    finally:
        current_context.reset(token)
    chunks: list[Chunk] = []
    async for chunk in stream:
        chunks.append(chunk)
        if len(chunks) == case.get("abortAfter"):
            abort.abort(case.get("abortReason", "AbortError: This operation was aborted"))
    return chunks, [request.body for request in provider.requests]


def _tool_choice(choice: dict[str, str] | str | None) -> str | None:
    return choice["toolName"] if isinstance(choice, dict) else choice


def _call_ids(message: dict[str, Any] | None) -> list[str]:
    return [part["toolCallId"] for part in (message or {"parts": []})["parts"] if "toolCallId" in part]


def _metadata(part: dict[str, Any]) -> dict[str, Any] | None:
    if part["type"] == "start":
        return {"model": "m"}
    if part["type"] == "finish-step":
        return _known({"step": part["usage"].get("totalTokens")})
    if part["type"] == "finish":
        return _known({"total": part["totalUsage"].get("totalTokens")})
    return None


def _known(metadata: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metadata.items() if value is not None}


def _read(name: str) -> dict[str, Case]:
    lines = (_DATA / name).read_text(encoding="utf-8").split("\n")
    return {case["name"]: case for case in map(json.loads, filter(None, lines))}


CASES = _read("stream.cases.ndjson") | _read("stream.more.cases.ndjson")
GOLDEN = _read("stream.v7.ndjson") | _read("stream.more.v7.ndjson")


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner
        runner.run(close_clients())


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    with FakeProvider() as provider:
        yield provider


@pytest.mark.parametrize("name", CASES)
def test_a_scripted_stream_gives_the_chunks_of_the_ai_sdk(
    name: str, runner: asyncio.Runner, provider: FakeProvider
) -> None:
    chunks, requests = runner.run(run_case(CASES[name], provider))
    golden = GOLDEN[name]
    if name in EXPECTED_DIFFERENCES:
        assert comparable(chunks) != comparable(golden["chunks"]), "no longer different: take it off the list"
        return
    assert comparable(chunks) == comparable(golden["chunks"])
    if name not in REQUEST_DIFFERENCES:
        assert [_told(each, chunks) for each in requests] == [
            _told(each, golden["chunks"]) for each in golden["requests"]
        ]


def test_the_model_is_offered_the_tools_and_asked_for_usage(runner: asyncio.Runner, provider: FakeProvider) -> None:
    _, requests = runner.run(run_case(CASES["tool ok then text"], provider))
    golden = GOLDEN["tool ok then text"]["requests"]
    for request, expected in zip(requests, golden, strict=True):
        assert [tool["function"]["name"] for tool in request["tools"]] == expected["tools"]
        assert request["tool_choice"] == expected["tool_choice"]
        assert request["stream_options"] == expected["stream_options"]


def comparable(chunks: list[Chunk]) -> list[Chunk]:
    """Chunks with generated ids numbered, parsers' words left out, and runs of tool outputs in one order."""
    ids: dict[str, str] = {}
    found = [_comparable(chunk, ids) for chunk in chunks]
    for at in range(len(found) - 1, 0, -1):
        _sort_outputs(found, at)
    return found


def _comparable(chunk: Chunk, ids: dict[str, str]) -> Chunk:
    copy = dict(chunk)
    # The SDK names the message only when it is told the earlier ones; a turn always is.
    copy.pop("messageId", None)
    if not _SCRIPTED_CALL.fullmatch(copy.get("toolCallId", "c0")):
        copy["toolCallId"] = ids.setdefault(copy["toolCallId"], f"call-{len(ids)}")
    for name in _GENERATED:
        if name in copy:
            copy[name] = ids.setdefault(f"{name} {copy[name]}", f"{name}-{len(ids)}")
    if "errorText" in copy:
        copy["errorText"] = _PARSER_WORDS.sub("…", copy["errorText"])
    return copy


def _sort_outputs(chunks: list[Chunk], at: int) -> None:
    """Bring the run of tool outputs that ends at `at` into the order of their calls; a call's own order stays."""
    start = at
    while start >= 0 and chunks[start]["type"].startswith("tool-output-"):
        start -= 1
    chunks[start + 1 : at + 1] = sorted(chunks[start + 1 : at + 1], key=lambda chunk: str(chunk["toolCallId"]))


def _told(request: dict[str, Any], chunks: list[Chunk]) -> str:
    """The messages of a request: what is null in one and absent in the other is the same, ids are numbered."""
    told = [{name: value for name, value in each.items() if value is not None} for each in request["messages"]]
    for message in told:
        if isinstance(message.get("content"), str):
            message["content"] = _PARSER_WORDS.sub("…", message["content"])
    text = json.dumps(told, sort_keys=True)
    generated = {chunk["toolCallId"]: True for chunk in chunks if "toolCallId" in chunk}
    for at, call_id in enumerate(call_id for call_id in generated if not _SCRIPTED_CALL.fullmatch(call_id)):
        text = text.replace(call_id, f"call-{at}")
    return text
