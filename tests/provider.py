"""The one fake of the test suite: a model provider that speaks OpenAI's streaming chat completions over real HTTP.

    with FakeProvider() as provider:
        provider.script([{"content": "Hi"}, {"finish": "stop"}])     # one list per request, in order
        await stream_text("openai/fake", messages, api_base=provider.url, api_key="x").text
        provider.requests[0].body["messages"]

A scripted answer is a list of steps: an OpenAI chunk object, or shorthand
    {"content": text}  {"reasoning": text}  {"tool": [{"index", "id", "name", "args"}]}  {"finish": reason}
    {"usage": {…}}     an event without choices
    {"error": {…}}     an error event inside the stream
    {"sleep": ms}      wait (ends early when the client goes away)
    {"http": status, "body": {…}, "headers": {…}}   as the only step: refuse the request
    {"close": true}    end the body without `[DONE]`       {"destroy": true}   cut the connection
    {"hang": true}     say nothing more until the client goes away

Without a script the last user message says what to do, so that tests of other processes can drive it
(`python tests/provider.py --port N`; litellm: model `openai/fake`, `api_base=http://127.0.0.1:N/v1`, any key):
    {"responses": [[…], …]} or [[…], …]   JSON: the answers of this turn, one per model call
    say N chunks every M ms      `w0 w1 … ` (every M ms is optional)
    reason …                     reasoning, then a text
    tools …                      calls every offered tool (at most two), then reports their results
    call NAME {json}             calls that tool, then reports its result
    error …                      a text, then an error event
    http STATUS                  refuses the request
    hang …                       a text, then silence until the client goes away
    anything else                echoes it
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from types import TracebackType
from typing import Any

ScriptStep = Mapping[str, Any]

#: For `pytest.mark.filterwarnings(*…)` where litellm runs in the test's process: it uses what pydantic has deprecated,
#: and when it is cancelled while a thread prepares the call, it drops the coroutine that the thread made.
LITELLM_WARNINGS = (
    "ignore::pydantic.warnings.PydanticDeprecationWarning",
    "ignore:coroutine '.*' was never awaited:RuntimeWarning",
)

_USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
_DONE: list[ScriptStep] = [{"finish": "stop"}, {"usage": _USAGE}]
_DEADLINE_S = 10.0


@dataclass
class Request:
    """One request that arrived; its events are set from the provider's thread."""

    body: dict[str, Any]
    headers: dict[str, str]
    #: The answer was written to its end.
    answered: threading.Event = field(default_factory=threading.Event)
    #: The client closed the connection before that.
    closed_early: threading.Event = field(default_factory=threading.Event)


class FakeProvider:
    """A provider on an ephemeral port of this machine, in a thread of its own."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.requests: list[Request] = []
        #: Some request arrived.
        self.arrived = threading.Event()
        #: Some client closed its connection before its answer had ended.
        self.closed_early = threading.Event()
        self._scripts: deque[Sequence[ScriptStep]] = deque()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake provider", daemon=True)
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """What litellm calls `api_base`."""
        return f"http://127.0.0.1:{self.port}/v1"

    def script(self, *answers: Sequence[ScriptStep]) -> None:
        """Answer the next requests so, one list each."""
        self._scripts.extend(answers)

    def reset(self) -> None:
        """Forget what was scripted and what arrived."""
        self._scripts.clear()
        self.requests = []
        self.arrived = threading.Event()
        self.closed_early = threading.Event()

    def start(self) -> FakeProvider:
        """Listen; returns itself."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(_DEADLINE_S)
        return self

    def stop(self) -> None:
        """Close the port and all connections."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(_DEADLINE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_DEADLINE_S)
        self._loop.close()

    def __enter__(self) -> FakeProvider:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read_request(reader)
            self.requests.append(request)
            self.arrived.set()
            steps = self._scripts.popleft() if self._scripts else answer_by_text(request.body)
            await self._answer(request, steps, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(
        self,
        request: Request,
        steps: Sequence[ScriptStep],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        gone = asyncio.create_task(reader.read())
        answer = asyncio.create_task(_write_answer(steps, writer))
        try:
            await asyncio.wait({gone, answer}, return_when=asyncio.FIRST_COMPLETED)
            failed = answer.done() and answer.exception() is not None
            if answer.done() and not failed:
                request.answered.set()
            else:
                request.closed_early.set()
                self.closed_early.set()
        finally:
            gone.cancel()
            answer.cancel()
            await asyncio.gather(gone, answer, return_exceptions=True)


async def _read_request(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    lines = [line.partition(":") for line in head.split("\r\n")[1:] if line]
    headers = {name.strip().lower(): value.strip() for name, _, value in lines}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(json.loads(body or b"{}"), headers)


async def _write_answer(steps: Sequence[ScriptStep], stream: asyncio.StreamWriter) -> None:
    if steps and "http" in steps[0]:
        await _refuse(steps[0], stream)
        return
    # As in node, the head leaves with the first event: a connection cut before that has no answer at all.
    writer = _HeadFirst(stream, _head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"}))
    for step in steps:
        if "sleep" in step:
            await asyncio.sleep(step["sleep"] / 1000)
        elif "hang" in step:
            await asyncio.Event().wait()
        elif "close" in step:
            break
        elif "destroy" in step:
            stream.transport.abort()
            return
        else:
            await writer.write(json.dumps(to_chunk(step)))
    else:
        await writer.write("[DONE]")
    await writer.end()


class _HeadFirst:
    """Writes events in chunked encoding, with the head in front of the first."""

    def __init__(self, stream: asyncio.StreamWriter, head: bytes) -> None:
        self._stream = stream
        self._head = head

    async def write(self, event: str) -> None:
        data = f"data: {event}\n\n".encode()
        await self._send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def end(self) -> None:
        await self._send(b"0\r\n\r\n")

    async def _send(self, data: bytes) -> None:
        head, self._head = self._head, b""
        self._stream.write(head + data)
        await self._stream.drain()


async def _refuse(step: ScriptStep, writer: asyncio.StreamWriter) -> None:
    body = json.dumps(step.get("body", {"error": {"message": "scripted http error", "type": "x", "code": None}}))
    headers = {"content-type": "application/json", "content-length": str(len(body)), **step.get("headers", {})}
    writer.write(_head(step["http"], headers) + body.encode())
    await writer.drain()


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Scripted", "connection: close", *(f"{name}: {headers[name]}" for name in headers)]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def to_chunk(step: ScriptStep) -> dict[str, Any]:
    """One step of a script as the event that OpenAI would send."""
    if "choices" in step or "object" in step:
        return dict(step)
    if "error" in step:
        return {"error": step["error"]}
    base = {"id": "cmpl", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    if "usage" in step:
        return {**base, "choices": [], "usage": step["usage"]}
    delta: dict[str, Any] = {}
    if "content" in step:
        delta = {"role": "assistant", "content": step["content"]}
    elif "reasoning" in step:
        delta = {"reasoning_content": step["reasoning"]}
    elif "tool" in step:
        delta = {"tool_calls": [_call_piece(piece) for piece in step["tool"]]}
    return {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": step.get("finish")}]}


def _call_piece(piece: Mapping[str, Any]) -> dict[str, Any]:
    function = {key: piece[name] for key, name in (("name", "name"), ("arguments", "args")) if name in piece}
    identity = {"id": piece["id"], "type": "function"} if "id" in piece else {}
    return {"index": piece.get("index", 0), **identity, "function": function}


def answer_by_text(body: Mapping[str, Any]) -> Sequence[ScriptStep]:
    """The answer that the last user message asks for (see the top of this module)."""
    messages: list[dict[str, Any]] = body["messages"]
    last_user = max((at for at, each in enumerate(messages) if each["role"] == "user"), default=-1)
    text = _text(messages[last_user]) if last_user >= 0 else ""
    since = messages[last_user + 1 :]
    if text.lstrip().startswith(("{", "[")):
        return _by_json(text, len([each for each in since if each["role"] == "assistant"]))
    results = [_text(each) for each in since if each["role"] == "tool"]
    if results:
        return [*_words("The tools said: " + " and ".join(results)), *_DONE]
    return _by_keyword(text, body)


def _by_json(text: str, step: int) -> Sequence[ScriptStep]:
    script = json.loads(text)
    answers = script["responses"] if isinstance(script, dict) else script
    if step < len(answers):
        return list(answers[step])
    return [{"content": "done"}, *_DONE]


def _by_keyword(text: str, body: Mapping[str, Any]) -> Sequence[ScriptStep]:
    if said := re.match(r"say (\d+) chunks(?: every (\d+) ms)?", text):
        pause: list[ScriptStep] = [{"sleep": int(said[2])}] if said[2] else []
        words: list[list[ScriptStep]] = [[{"content": f"w{at} "}, *pause] for at in range(int(said[1]))]
        return [*chain.from_iterable(words), *_DONE]
    if call := re.match(r"call (\w+)\s*(\{.*\})?", text, re.DOTALL):
        return _calls([(call[1], call[2] or "{}")])
    if refused := re.match(r"http (\d+)", text):
        return [{"http": int(refused[1])}]
    match text.partition(" ")[0]:
        case "tools":
            offered = [tool["function"] for tool in body.get("tools") or ()][:2]
            return _calls([(each["name"], json.dumps(_arguments(each, text))) for each in offered])
        case "reason":
            return [{"reasoning": "Let me "}, {"reasoning": "think."}, *_words("I thought about it."), *_DONE]
        case "error":
            return [{"content": "This goes"}, {"error": {"message": "overloaded", "type": "server_error"}}]
        case "hang":
            return [{"content": "Wait"}, {"hang": True}]
    return [*_words(f"You said: {text}"), *_DONE]


def _calls(calls: Sequence[tuple[str, str]]) -> Sequence[ScriptStep]:
    pieces: list[ScriptStep] = []
    for at, (name, arguments) in enumerate(calls):
        half = len(arguments) // 2
        pieces.append({"tool": [{"index": at, "id": f"call_{at}", "name": name, "args": arguments[:half]}]})
        pieces.append({"tool": [{"index": at, "args": arguments[half:]}]})
    return [*pieces, {"finish": "tool_calls"}, {"usage": _USAGE}]


def _arguments(function: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Plausible arguments: the required ones, by type."""
    schema = function.get("parameters") or {}
    samples = {"string": text, "integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}
    properties = schema.get("properties") or {}
    return {name: samples.get(properties[name].get("type")) for name in schema.get("required") or ()}


def _words(text: str) -> list[ScriptStep]:
    return [{"content": word} for word in re.findall(r"\s*\S+", text)]


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def main() -> None:
    parser = argparse.ArgumentParser(description="A fake OpenAI provider; what it answers is in the user's message.")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    with FakeProvider(options.port) as provider:
        print(provider.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
