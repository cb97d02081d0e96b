"""LangChain's and LangGraph's own streams, against a provider over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from pydantic import SecretStr

from chatagent.errors import ConfigError
from tests.agent.drain import Drained, call, drain, drain_into, step, text
from tests.provider import FakeProvider

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
CALL: list[dict[str, Any]] = [
    {"content": "I look "},
    {"content": "it up."},
    {"tool": [{"index": 0, "id": "c1", "name": "look", "args": '{"at":'}]},
    {"tool": [{"index": 0, "args": " 1}"}]},
    {"tool": [{"index": 1, "id": "c2", "name": "look", "args": '{"at": -1}'}]},
    {"finish": "tool_calls"},
    {"usage": USAGE},
]
ANSWER: list[dict[str, Any]] = [{"content": "Found "}, {"content": "it."}, {"finish": "stop"}, {"usage": USAGE}]
COUNTED = {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}


@tool
def look(at: int) -> dict[str, Any]:
    """Look at a place."""
    if at < 0:
        raise ValueError("at must not be negative")
    return {"at": at, "seen": True}


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with FakeProvider() as running:
        yield running


def model(provider: FakeProvider, http: httpx.AsyncClient) -> ChatOpenAI:
    return ChatOpenAI(
        model="m",
        base_url=provider.url,
        api_key=SecretStr("x"),
        http_async_client=http,
        stream_usage=True,
        streaming=True,
        max_retries=0,
    )


def graph(provider: FakeProvider, http: httpx.AsyncClient) -> Any:
    """An agent as people write them: a model, its tools, and back."""
    bound = model(provider, http).bind_tools([look])

    async def think(state: MessagesState) -> dict[str, Any]:
        get_stream_writer()({"type": "data-note", "data": len(state["messages"]), "transient": True})
        return {"messages": [await bound.ainvoke(state["messages"])]}

    def next_node(state: MessagesState) -> str:
        last = state["messages"][-1]
        return "tools" if isinstance(last, AIMessage) and last.tool_calls else END

    built = StateGraph(MessagesState)
    built.add_node("think", think)
    built.add_node("tools", ToolNode([look], handle_tool_errors=True))
    built.add_edge(START, "think")
    built.add_conditional_edges("think", next_node)
    built.add_edge("tools", "think")
    return built.compile()


HI: dict[str, Any] = {"messages": [("user", "hi")]}


def run(provider: FakeProvider, source: Callable[[Any], Any], make: Any = graph) -> Drained:
    async def test() -> Drained:
        async with httpx.AsyncClient() as http:
            return await drain(source(make(provider, http)))

    return asyncio.run(test())


@pytest.mark.parametrize(
    "source",
    [
        lambda made: made.astream(HI, stream_mode="messages"),
        lambda made: made.astream(HI, stream_mode=["messages", "updates"]),
        lambda made: made.astream(HI, stream_mode=["messages", "custom"], subgraphs=True),
        lambda made: made.astream(HI, stream_mode="updates"),
        lambda made: made.astream_events(HI, version="v2"),
    ],
    ids=["messages", "messages and updates", "subgraphs", "updates", "astream_events"],
)
def test_a_graph_gives_text_calls_results_and_usage_once(provider: FakeProvider, source: Any) -> None:
    provider.script(CALL, ANSWER)
    found = run(provider, source)
    failed = found.parts[3]
    assert (failed["toolCallId"], failed["state"], failed["input"]) == ("c2", "output-error", {"at": -1})
    assert "at must not be negative" in failed["errorText"]
    assert found.parts[:3] == [
        step(),
        text("I look it up."),
        call("look", "c1", {"at": 1}, {"at": 1, "seen": True}),
    ]
    assert found.parts[4:] == [step(), text("Found it.")]
    assert found.usage == [COUNTED, COUNTED]
    assert found.finish_reason == "stop"


def test_messages_stream_as_they_come(provider: FakeProvider) -> None:
    provider.script(CALL, ANSWER)
    found = run(provider, lambda made: made.astream(HI, stream_mode="messages"))
    deltas = [chunk["inputTextDelta"] for chunk in found.chunks if chunk["type"] == "tool-input-delta"]
    assert deltas == ['{"at":', " 1}", '{"at": -1}']
    assert found.types.index("tool-input-available") < found.types.index("tool-output-available")


def test_what_a_graph_writes_itself_is_a_chunk(provider: FakeProvider) -> None:
    provider.script(ANSWER)
    found = run(provider, lambda made: made.astream(HI, stream_mode=["messages", "custom"]))
    assert {"type": "data-note", "data": 1, "transient": True} in found.chunks


def test_the_stream_of_a_chat_model_is_an_answer(provider: FakeProvider) -> None:
    provider.script(CALL)
    found = run(provider, lambda made: made.bind_tools([look]).astream("hi"), model)
    assert found.parts == [
        step(),
        text("I look it up."),
        call("look", "c1", {"at": 1}),
        call("look", "c2", {"at": -1}),
    ]
    assert found.usage == [COUNTED]
    assert found.finish_reason == "tool-calls"


def test_a_whole_message_is_an_answer() -> None:
    message = AIMessage("Hi.", tool_calls=[{"name": "look", "args": {"at": 1}, "id": "c1"}])
    found = asyncio.run(drain(message))
    assert found.parts == [step(), text("Hi."), call("look", "c1", {"at": 1})]


def test_content_in_blocks_is_read() -> None:
    citation = {"type": "citation", "url": "https://x.test/", "title": "X"}
    blocks: list[Any] = [
        {"type": "reasoning", "reasoning": "Hm."},
        {"type": "text", "text": "See "},
        {
            "type": "text",
            "text": "this.",
            "annotations": [citation],
        },
        {"type": "image", "base64": "AAAA", "mime_type": "image/png"},
    ]
    found = asyncio.run(drain(AIMessage(content_blocks=blocks)))
    assert [part["type"] for part in found.parts] == ["step-start", "reasoning", "text", "source-url", "file"]
    assert found.parts[2] == text("See this.")
    assert found.parts[4] == {"type": "file", "url": "data:image/png;base64,AAAA", "mediaType": "image/png"}


def test_what_the_user_said_is_not_said_again(provider: FakeProvider) -> None:
    assert asyncio.run(drain([HumanMessage("hi"), AIMessage("Hello.")])).parts == [step(), text("Hello.")]


def test_whole_states_are_refused_with_the_mend(provider: FakeProvider) -> None:
    provider.script(ANSWER)
    with pytest.raises(ConfigError, match="stream_mode='messages'"):
        run(provider, lambda made: made.astream(HI, stream_mode="values"))


def test_a_stop_ends_the_graph_and_its_request(provider: FakeProvider) -> None:
    provider.script([{"content": "one"}, {"hang": True}])

    async def test() -> None:
        found = Drained()
        async with httpx.AsyncClient() as http:
            source = graph(provider, http).astream(HI, stream_mode="messages")
            task = asyncio.create_task(drain_into(found, source))
            async with asyncio.timeout(10):
                while "text-delta" not in found.types:
                    await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(task, 10)
            assert await asyncio.to_thread(provider.closed_early.wait, 10)

    asyncio.run(test())


def test_an_error_of_the_provider_is_raised(provider: FakeProvider) -> None:
    provider.script([{"http": 400, "body": {"error": {"message": "no such model"}}}])
    with pytest.raises(Exception, match="no such model"):
        run(provider, lambda made: made.astream(HI, stream_mode="messages"))
