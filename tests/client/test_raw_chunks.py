"""Raw chunks (`chat.stream`) of an agent, its task and any run, end to end through every door.

They reach every reader in their place, and are no part of the stored message.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import OpenAI
from websockets.sync.client import connect

from chatagent.client import Chat
from tests.redis_server import RedisServer
from tests.stack import SECRET, Gateway, serving

pytestmark = pytest.mark.e2e

Chunk = dict[str, Any]

AGENTS = """
from chatagent import chat, task

@task("below")
async def below(name: str) -> str:
    async with chat.stream.writer(target="root") as out:
        await out.write({"type": "data-root", "id": "r", "data": {"n": 1}})
        await out.write({"type": "data-root", "id": "r", "data": {"n": 2}})
    await chat.stream.append("from below", target="parent")
    await chat.stream.append({"type": "data-own", "data": name})
    return name

@task("beside")
async def beside(target: str) -> bool:
    return await chat.stream.append({"type": "data-by-id", "data": target}, target=target)

async def source():
    yield {"type": "text-start", "id": "raw"}
    yield {"type": "text-delta", "id": "raw", "delta": "aside"}
    yield {"type": "text-end", "id": "raw"}

@chat.agent("teller")
async def teller(turn):
    yield "Hello. "
    await chat.stream.append({"type": "data-self", "data": 1})
    await chat.stream.append({"type": "data-passing", "data": 2, "transient": True})
    await chat.stream.pipe(source())
    run = await below.trigger("b")
    (await below.trigger_and_wait("b2")).unwrap()
    seen = [chunk["data"] async for chunk in chat.stream.read(run.run_id)]
    assert (await beside.trigger_and_wait(turn.run_id)).unwrap()
    yield f"It read {seen}."
"""
#: Of two runs of the task each; the rest once.
DATA = ["data-by-id", "data-passing", "data-root", "data-root", "data-root", "data-root", "data-self"]
DATA += ["data-text", "data-text"]
TEXT = "Hello. It read ['b']."


@pytest.fixture(scope="module")
def served(redis_server: RedisServer) -> Iterator[Gateway]:
    """A worker and a gateway for all tests of this file."""
    with serving(redis_server, AGENTS) as gateway:
        yield gateway


@pytest.fixture
def http(served: Gateway) -> Iterator[httpx.Client]:
    shown = {"Authorization": f"Bearer {SECRET}"}
    with httpx.Client(base_url=served.url, headers=shown, timeout=60, trust_env=False) as client:
        yield client


def data(chunks: list[Chunk]) -> list[str]:
    return sorted(chunk["type"] for chunk in chunks if chunk["type"].startswith("data-"))


def check(chunks: list[Chunk]) -> None:
    """All that was written came, each once, and text that was piped aside is marked by its own id."""
    assert data(chunks) == DATA
    (aside,) = [chunk["delta"] for chunk in chunks if chunk["type"] == "text-delta" and chunk["id"] == "raw"]
    said = "".join(chunk["delta"] for chunk in chunks if chunk["type"] == "text-delta" and chunk["id"] != "raw")
    assert (aside, said) == ("aside", TEXT)
    roots = [chunk["data"]["n"] for chunk in chunks if chunk["type"] == "data-root"]
    assert sorted(roots) == [1, 1, 2, 2]


def sent(chat_id: str) -> Chunk:
    message = {"id": "u1", "role": "user", "parts": [{"type": "text", "text": "go"}]}
    return {"id": chat_id, "agent": "teller", "message": message}


def stored(http: httpx.Client, chat_id: str) -> list[str]:
    """The types of the parts of the stored answer."""
    messages = http.get(f"/api/v1/sessions/{chat_id}/history").json()["messages"]
    assert "".join(part.get("text", "") for part in messages[-1]["parts"]) == TEXT
    return [part["type"] for part in messages[-1]["parts"]]


@pytest.mark.parametrize("major", ["", "5", "6", "7"])
def test_over_server_sent_events(http: httpx.Client, major: str) -> None:
    chat_id = f"sse-{major or 'any'}"
    told = http.post("/api/chat", json=sent(chat_id), params={"ai": major} if major else {})
    events = [line.removeprefix("data: ") for line in told.text.splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    check([json.loads(event) for event in events[:-1]])
    assert not [kind for kind in stored(http, chat_id) if kind.startswith("data-")]


def test_over_a_websocket_that_sends_and_one_that_watches(served: Gateway, http: httpx.Client) -> None:
    http.post("/api/v1/sessions", json={"externalId": "ws", "taskIdentifier": "teller", "type": "chat.agent"})
    url = f"ws{served.url.removeprefix('http')}/api/chat/ws"
    shown = {"Authorization": f"Bearer {SECRET}"}
    with (
        connect(url, additional_headers=shown, proxy=None) as sender,
        connect(url, additional_headers=shown, proxy=None) as watcher,
    ):
        watcher.send(json.dumps({"type": "watch", "requestId": "w", "id": "ws", "cursor": -1}))
        message = sent("ws")["message"]
        sender.send(
            json.dumps(
                {"type": "send", "requestId": "r", "id": "ws", "trigger": "submit-message", "messages": [message]}
            )
        )
        frames = iter(lambda: json.loads(sender.recv(timeout=60)), None)
        answer = []
        for frame in frames:
            if frame["type"] == "end":
                break
            answer += [frame["chunk"]] if frame["type"] == "chunk" else []
        check(answer)
        watched = []
        for frame in iter(lambda: json.loads(watcher.recv(timeout=60)), None):
            if frame.get("control", {}).get("kind") == "turn-complete":
                break
            watched += [frame["chunk"]] if "chunk" in frame else []
    assert watched == answer


def test_over_the_stream_of_trigger_devs_client(http: httpx.Client) -> None:
    http.post("/api/chat", json=sent("out"))
    with http.stream("GET", "/realtime/v1/sessions/out/out", headers={"X-Peek-Settled": "1"}) as told:
        lines = [line.removeprefix("data: ") for line in told.iter_lines() if line.startswith("data: {")]
    records = [record for line in lines for record in json.loads(line)["records"]]
    check([json.loads(record["body"])["data"] for record in records if record.get("body")])


def test_with_the_python_client(served: Gateway) -> None:
    with Chat(served.url, "teller", chat_id="python", secret_key=SECRET) as chat:
        answer = chat.send("go")
        chunks = list(answer)
        check(chunks)
        assert chat.history()[-1]["parts"][-1]["text"].endswith("It read ['b'].")
        told = {part["type"] for part in answer.result().message["parts"]}
    assert "data-self" in told, "a reader shows them until it loads the chat again"


def test_openais_clients_are_not_told(served: Gateway) -> None:
    plain = httpx.Client(trust_env=False)
    with OpenAI(base_url=f"{served.url}/v1", api_key=SECRET, http_client=plain, timeout=60) as client:
        whole = client.chat.completions.create(model="teller", messages=[{"role": "user", "content": "go"}])
        pieces = client.chat.completions.create(
            model="teller", messages=[{"role": "user", "content": "go"}], stream=True
        )
        streamed = "".join(piece.choices[0].delta.content or "" for piece in pieces)
        response = client.responses.create(model="teller", input="go")
        kept = client.responses.retrieve(response.id)
    told = (whole.choices[0].message.content, streamed, response.output_text, kept.output_text)
    assert told == (TEXT,) * 4
