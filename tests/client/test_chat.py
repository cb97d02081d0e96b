"""Every verb of the client, in both colours, against a real gateway."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from chatagent.client import AsyncChat, Chat, Limits, Sessions
from chatagent.errors import (
    BadRequest,
    ChatAgentError,
    Closed,
    ConfigError,
    Forbidden,
    NotFound,
    Retryable,
    TooLarge,
    Unauthorized,
)
from tests.client.colour import LIMITS, Colour
from tests.client.conftest import NewCutter, Plan
from tests.client.cutter import Cutter
from tests.flask.conftest import NewGateway
from tests.flask.gateway_app import SECRET
from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker, Turn, echo, say
from tests.stack import free_port

Chunk = dict[str, Any]

ASKING: list[Chunk] = [
    {"type": "start", "messageId": "a1"},
    {"type": "start-step"},
    {"type": "text-start", "id": "t1"},
    {"type": "text-delta", "id": "t1", "delta": "May I? "},
    {"type": "text-end", "id": "t1"},
    {"type": "tool-input-available", "toolCallId": "pay1", "toolName": "pay", "input": {"euro": 5}},
    {"type": "tool-approval-request", "toolCallId": "pay1", "approvalId": "ap1"},
    {"type": "finish-step"},
    {"type": "finish", "finishReason": "tool-calls"},
]
PAYING: list[Chunk] = [
    {"type": "start", "messageId": "a1"},
    {"type": "tool-output-available", "toolCallId": "pay1", "output": "paid"},
    {"type": "start-step"},
    {"type": "text-start", "id": "t2"},
    {"type": "text-delta", "id": "t2", "delta": "Done."},
    {"type": "text-end", "id": "t2"},
    {"type": "finish-step"},
    {"type": "finish", "finishReason": "stop"},
]


def options(gateway: GatewayProcess, **further: Any) -> dict[str, Any]:
    return {"url": gateway.url, "agent": "echo", "chat_id": "c1", "secret_key": SECRET, "limits": LIMITS, **further}


def with_token(gateway: GatewayProcess, token: Any, **further: Any) -> dict[str, Any]:
    return options(gateway, secret_key=None, token=token, **further)


@pytest.mark.parametrize(
    "content",
    [
        "hello",
        ["hello"],
        {"type": "text", "text": "hello"},
        [{"type": "text", "text": "hello"}],
        {"id": "u1", "role": "user", "parts": [{"type": "text", "text": "hello"}], "metadata": {"k": 1}},
    ],
)
def test_text_parts_and_messages_are_sent(
    colour: Colour, gateway: GatewayProcess, worker: ScriptedWorker, content: Any
) -> None:
    worker.serve(echo)
    told = colour.ask(options(gateway), "send", content)
    assert told.text == told.result.text == "You said: hello"
    assert told.result.outcome == "completed"
    first, second = colour.call(options(gateway), "history")
    assert first["role"] == "user" and first["parts"] == [{"type": "text", "text": "hello"}]
    assert second == told.result.message
    if isinstance(content, dict) and "id" in content:
        assert first == content


def test_client_data_and_further_fields_reach_the_agent(
    colour: Colour, gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    seen: list[Turn] = []

    def answer(turn: Turn) -> None:
        seen.append(turn)
        echo(turn)

    worker.serve(answer)
    colour.ask(options(gateway), "send", "hi", metadata={"plan": "pro"}, body={"temperature": 0.5, "id": "a lie"})
    assert seen[0].record.payload["metadata"] == {"plan": "pro"}
    assert seen[0].record.payload["body"] == {"temperature": 0.5}
    assert colour.call(options(gateway), "session")["externalId"] == "c1"


def test_a_session_is_started_once_with_what_the_server_knows(
    colour: Colour, gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    started = colour.call(options(gateway), "start", tags=["vip"], metadata={"a": 1}, user="ada")
    assert (started["tags"], started["metadata"], started["user"]) == (["vip"], {"a": 1}, "ada")
    assert colour.call(options(gateway), "start")["isCached"]
    assert [each["externalId"] for each in colour.call(options(gateway), "list")["data"]] == ["c1"]
    assert [each["id"] for each in colour.call(options(gateway), "agents")] == ["echo", "other"]


def test_an_edit_replaces_what_followed(colour: Colour, gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    colour.ask(options(gateway), "send", {"id": "u1", "role": "user", "parts": [{"type": "text", "text": "one"}]})
    colour.ask(options(gateway), "send", "two")
    assert colour.ask(options(gateway), "edit", "u1", "uno").result.text == "You said: uno"
    assert [message["role"] for message in colour.call(options(gateway), "history")] == ["user", "assistant"]


def test_an_approval_goes_on_with_the_message(colour: Colour, gateway: GatewayProcess, plan: Plan) -> None:
    plan += [lambda turn: turn.commit(*ASKING), lambda turn: turn.commit(*PAYING)]
    asked = colour.ask(options(gateway), "send", "pay").result
    assert asked.outcome == "waiting"
    assert [(call.name, call.input, call.approval_id) for call in asked.waiting_calls] == [("pay", {"euro": 5}, "ap1")]
    told = colour.ask(options(gateway), "approve", "ap1", True, "it is cheap")
    assert told.chunks == PAYING
    assert told.result.text == "May I? Done."
    assert (told.result.outcome, told.result.tool_calls[0].output) == ("completed", "paid")
    stored = colour.call(options(gateway), "history")[-1]
    assert stored == told.result.message
    assert stored["parts"][2]["approval"]["approved"] is True
    with pytest.raises(NotFound):
        colour.call(options(gateway), "approve", "ap1", False)


@pytest.mark.parametrize("same_s", [200.0, -1.0], ids=["sent-again", "resumed"])
def test_a_continuation_is_cut_after_any_record(
    colour: Colour, cut_after: NewCutter, gateway: GatewayProcess, plan: Plan, same_s: float
) -> None:
    limits = replace(LIMITS, same_s=same_s)
    for at in range(len(PAYING)):
        cutter = cut_after(at)

        def answer(turn: Turn, at: int = at, cutter: Cutter = cutter) -> None:
            turn.append(*PAYING[:at])
            assert cutter.back.wait(30)
            turn.commit(*PAYING[at:])

        plan += [lambda turn: turn.commit(*ASKING), answer]
        chat = options(gateway, chat_id=f"c{at}")
        colour.ask(chat, "send", "pay")
        told = colour.ask({**chat, "url": cutter.url, "limits": limits}, "approve", "ap1")
        assert told.chunks == PAYING
        assert told.result.text == "May I? Done."


def test_the_output_or_error_of_a_client_tool_goes_on_with_the_message(
    colour: Colour, gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    call = [chunk for chunk in ASKING if chunk["type"] != "tool-approval-request"]

    def answer(turn: Turn) -> None:
        turn.commit(*(call if turn.initial is None else say("thanks", message_id="a1")))

    worker.serve(answer)
    for chat_id, given, part in (
        ("c1", {"output": [1, 2]}, {"state": "output-available", "output": [1, 2]}),
        ("c2", {"error": "no luck"}, {"state": "output-error", "errorText": "no luck"}),
    ):
        chat = options(gateway, chat_id=chat_id)
        assert colour.ask(chat, "send", "pay").result.outcome == "waiting"
        told = colour.ask(chat, "answer_tool", "pay1", **given)
        assert told.result.text == "May I? thanks"
        stored = colour.call(chat, "history")[-1]
        assert stored == told.result.message
        assert part.items() <= stored["parts"][2].items()


def test_a_failed_answer_tells_why(colour: Colour, gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    def fail(turn: Turn) -> None:
        turn.append(*say("half an ans")[:-3])
        turn.commit({"type": "error", "errorText": "the model is away"}, outcome="failed")

    worker.serve(fail)
    told = colour.ask(options(gateway), "send", "hi").result
    assert (told.outcome, told.error, told.text) == ("failed", "the model is away", "half an ans")
    with Chat(**options(gateway, chat_id="c2")) as chat, pytest.raises(ChatAgentError, match="the model is away"):
        list(chat.send("hi").text_stream())


def test_a_stop_ends_the_answer_and_keeps_what_was_written(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    def until_stopped(turn: Turn) -> None:
        turn.append(*say("one two")[:4])
        while not turn.append({"type": "text-delta", "id": "t1", "delta": "."}):
            time.sleep(0.01)
        turn.commit({"type": "text-end", "id": "t1"}, {"type": "abort"}, outcome="stopped")

    worker.serve(until_stopped)
    with Chat(**options(gateway)) as chat:
        assert chat.send("x").stop()
        answer = chat.resume() or chat.send("again")
        chat.stop()
        assert answer.result().outcome in ("stopped", "completed")
        assert not chat.stop()
        assert chat.resume() is None


def test_reading_may_pause_and_go_on(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    with Chat(**options(gateway)) as chat:
        answer = chat.send("a b c")
        for chunk in answer:
            if chunk["type"] == "text-delta":
                break
        assert answer.so_far.text == "You"
        assert "".join(answer.text_stream()) == " said: a b c"
        assert answer.result().text == "You said: a b c"


def test_a_closed_session_takes_nothing_more(colour: Colour, gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    colour.call(options(gateway), "start")
    assert colour.call(options(gateway), "close_session", "solved")["closedReason"] == "solved"
    with pytest.raises(Closed) as closed:
        colour.call(options(gateway), "send", "hi")
    assert closed.value.closed_reason == "solved"


def test_each_refusal_is_the_error_that_it_was(
    colour: Colour, gateway_with: NewGateway, worker: ScriptedWorker
) -> None:
    gateway = gateway_with(max_body_bytes=2000)
    with pytest.raises(Unauthorized):
        colour.call(with_token(gateway, "no token"), "send", "hi")
    with pytest.raises(Unauthorized):
        colour.call(with_token(gateway, None), "session")
    with pytest.raises(NotFound):
        colour.call(options(gateway), "history")
    with pytest.raises(NotFound, match="there are: echo, other"):
        colour.call(options(gateway, agent="nobody"), "send", "hi")
    with pytest.raises(Forbidden):
        colour.call(with_token(gateway, gateway.token("write:tasks:other")), "send", "hi")
    with pytest.raises(TooLarge) as large:
        colour.call(options(gateway), "send", "x" * 3000)
    assert large.value.limit_bytes == 2000
    with pytest.raises(BadRequest) as bad:
        colour.call(options(gateway, chat_id="session_x"), "start")
    assert bad.value.field == "externalId"
    with pytest.raises(BadRequest):
        colour.call(options(gateway), "send", [])


def test_without_a_worker_it_tries_a_while_and_then_says_so(colour: Colour, gateway: GatewayProcess) -> None:
    with pytest.raises(Retryable, match="no worker has announced an agent yet"):
        colour.call(options(gateway, limits=Limits(retries=2, pause_s=0.01, longest_pause_s=0.02)), "send", "hi")


def test_where_nothing_listens_it_says_so(colour: Colour) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Retryable, match=f"nothing answers at {url}"):
        colour.call({"url": url, "limits": Limits(retries=2, pause_s=0.01)}, "session")


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://host"])
def test_an_address_must_be_one(url: str) -> None:
    with pytest.raises(ConfigError, match="is no address of a gateway"):
        Sessions(url)


def test_another_server_is_told_from_a_gateway(gateway: GatewayProcess) -> None:
    with Sessions(f"{gateway.url}/nowhere", secret_key=SECRET) as sessions, pytest.raises(ChatAgentError):
        sessions.list()


def test_a_token_is_renewed_when_it_ends_and_when_it_is_refused(
    colour: Colour, gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    worker.serve(echo)
    colour.ask(options(gateway), "send", "hi")
    for first in (gateway.token(ttl_s=1), "refused"):
        tokens = iter([first, gateway.token(), "one too many"])
        # Two calls: where the messages end, and the regenerate.
        told = colour.ask(with_token(gateway, lambda tokens=tokens: next(tokens)), "regenerate")
        assert told.result.text == "You said: "
        assert next(tokens) == "one too many"


def test_a_token_may_be_awaited(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)

    async def fresh() -> str:
        return gateway.token()

    async def ask() -> str:
        async with AsyncChat(gateway.url, "echo", token=fresh) as chat:
            return "".join([text async for text in (await chat.send("hi")).text_stream()])

    assert asyncio.run(ask()) == "You said: hi"


def test_a_minted_token_is_good_for_its_chat_alone(
    colour: Colour, gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    worker.serve(echo)
    for chat_id in ("c1", "c2"):
        colour.call(options(gateway, chat_id=chat_id), "start")
    token = colour.call(options(gateway), "mint_token", ["read"], ttl_s=60)
    assert colour.call(with_token(gateway, token), "history") == []
    with pytest.raises(Forbidden):
        colour.call(with_token(gateway, token, chat_id="c2"), "history")
    with pytest.raises(Forbidden):
        colour.call(with_token(gateway, token), "send", "hi")
