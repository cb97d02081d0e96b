"""Chat completions with the real package."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker, Turn, echo, say
from tests.flask.talk import until
from tests.loopback import LOOPBACK
from tests.openai.conftest import Plan, noting

ASK: list[Any] = [{"role": "user", "content": "hi"}]
CALL: list[dict[str, Any]] = [
    {"type": "start", "messageId": "a1"},
    {"type": "start-step"},
    {"type": "tool-input-available", "toolCallId": "c1", "toolName": "place", "input": {"of": "me"}},
    {"type": "finish-step"},
    {"type": "finish", "finishReason": "tool-calls"},
]


def test_an_agent_is_a_model(client: OpenAI, worker: ScriptedWorker) -> None:
    assert [model.id for model in client.models.list()] == ["echo", "other"]
    assert client.models.retrieve("echo").owned_by == "chatagent"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("nobody")
    assert caught.value.code == "model_not_found"


def test_a_completion(client: OpenAI, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    found = client.chat.completions.create(model="echo", messages=ASK)
    assert found.choices[0].message.content == "You said: hi"
    assert found.choices[0].finish_reason == "stop"
    assert found.usage is not None
    assert found.usage.total_tokens == 0


def test_a_streamed_completion_with_usage(client: OpenAI, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    options: Any = {"include_usage": True}
    pieces = list(client.chat.completions.create(model="echo", messages=ASK, stream=True, stream_options=options))
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces[:-1]) == "You said: hi"
    assert [piece.choices[0].finish_reason for piece in pieces[:-1]][-1] == "stop"
    assert pieces[-1].choices == []
    assert pieces[-1].usage is not None


def test_with_asyncio(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)

    async def ask() -> str:
        plain = httpx.AsyncClient(**LOOPBACK)
        async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.token(), http_client=plain) as client:
            stream = await client.chat.completions.create(model="echo", messages=ASK, stream=True)
            return "".join([piece.choices[0].delta.content or "" async for piece in stream])

    assert asyncio.run(ask()) == "You said: hi"


def test_what_the_client_says_of_the_past_starts_a_new_chat(client: OpenAI, plan: Plan) -> None:
    seen: list[Turn] = []
    plan.append(noting(seen, say("ok")))
    past: list[Any] = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": "three"},
    ]
    client.chat.completions.create(model="echo", messages=past, temperature=0.5)
    assert [(message["role"], message["parts"][-1]["text"]) for message in seen[0].messages] == [
        ("user", "one"),
        ("assistant", "two"),
        ("user", "three"),
    ]
    assert seen[0].record.payload["body"] == {"temperature": 0.5, "instructions": "be brief"}


def test_a_named_chat_keeps_its_own_past(client: OpenAI, plan: Plan) -> None:
    seen: list[Turn] = []
    plan.extend([lambda turn: turn.commit(*say("real", message_id="a1"))])
    plan.append(noting(seen, say("again", message_id="a2")))
    named = {"chat_id": "mine", "colour": "red"}
    client.chat.completions.create(model="echo", messages=ASK, metadata=named)
    forged: list[Any] = [*ASK, {"role": "assistant", "content": "forged"}, {"role": "user", "content": "more"}]
    client.chat.completions.create(model="echo", messages=forged, metadata=named)
    assert [message["parts"][-1].get("text") for message in seen[0].messages] == ["hi", "real", "more"]
    assert seen[0].record.payload["metadata"] == {"colour": "red"}


def test_images_and_files_become_file_parts(client: OpenAI, plan: Plan) -> None:
    seen: list[Turn] = []
    plan.append(noting(seen, say("ok")))
    content: list[Any] = [
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
    ]
    client.chat.completions.create(model="echo", messages=[{"role": "user", "content": content}])
    parts = seen[0].record.payload["message"]["parts"]
    assert [part.get("mediaType") for part in parts] == [None, "image/png", "application/pdf", "audio/wav"]
    assert parts[2]["filename"] == "a.pdf"


@pytest.mark.parametrize("stream", [False, True])
def test_a_waiting_tool_call_is_answered_in_the_same_chat(client: OpenAI, plan: Plan, stream: bool) -> None:
    seen: list[Turn] = []
    plan.append(lambda turn: turn.commit(*CALL))
    plan.append(noting(seen, say("in Rome")))
    if stream:
        pieces = list(client.chat.completions.create(model="echo", messages=ASK, stream=True))
        assert pieces[-1].choices[0].finish_reason == "tool_calls"
        (told,) = [piece.choices[0].delta.tool_calls for piece in pieces if piece.choices[0].delta.tool_calls]
        call: Any = told[0]
    else:
        found = client.chat.completions.create(model="echo", messages=ASK)
        assert found.choices[0].finish_reason == "tool_calls"
        assert found.choices[0].message.tool_calls is not None
        call = found.choices[0].message.tool_calls[0]
    assert (call.function.name, call.function.arguments) == ("place", '{"of": "me"}')
    called = {"role": "assistant", "tool_calls": [call.model_dump(exclude={"index"})]}
    answer = {"role": "tool", "tool_call_id": call.id, "content": "Rome"}
    messages: list[Any] = [*ASK, called, answer]
    found = client.chat.completions.create(model="echo", messages=messages)
    assert found.choices[0].message.content == "in Rome"
    assert seen[0].record.seq == 1, "the same session"
    assert seen[0].messages[-1]["parts"][-1]["output"] == "Rome"


def test_a_tool_call_of_another_server_goes_on_in_a_new_chat(client: OpenAI, plan: Plan) -> None:
    seen: list[Turn] = []
    plan.append(noting(seen, say("ok")))
    call = {"id": "c9", "type": "function", "function": {"name": "place", "arguments": "{}"}}
    messages: list[Any] = [*ASK, {"role": "assistant", "tool_calls": [call]}]
    messages.append({"role": "tool", "tool_call_id": "c9", "content": "Rome"})
    client.chat.completions.create(model="echo", messages=messages)
    (part,) = [part for part in seen[0].messages[-1]["parts"] if part.get("toolCallId")]
    assert (part["state"], part["output"]) == ("output-available", "Rome")


@pytest.mark.parametrize("call_id", ["c8", "c9~elsewhere", ""])
def test_an_answer_to_no_call_is_the_clients_fault(client: OpenAI, worker: ScriptedWorker, call_id: str) -> None:
    called = {"id": "c0", "type": "function", "function": {"name": "place", "arguments": "{}"}}
    messages: list[Any] = [*ASK, {"role": "assistant", "tool_calls": [called]}]
    with pytest.raises(openai.BadRequestError, match="must follow"):
        answer: Any = {"role": "tool", "tool_call_id": call_id, "content": "Rome"}
        client.chat.completions.create(model="echo", messages=[*messages, answer])
    with pytest.raises(openai.BadRequestError, match="no call with this id"):
        items: Any = [
            *ASK,
            {"type": "function_call", "call_id": "c0", "name": "place", "arguments": "{}"},
            {"type": "function_call_output", "call_id": call_id, "output": "Rome"},
        ]
        client.responses.create(model="echo", input=items)


def test_thoughts_and_a_second_step(client: OpenAI, plan: Plan) -> None:
    thought = [
        {"type": "reasoning-start", "id": "r"},
        {"type": "reasoning-delta", "id": "r", "delta": "hm"},
        {"type": "reasoning-end", "id": "r"},
    ]
    first, second = say("one"), say("two")
    chunks = [*first[:2], *thought, *first[2:-1], *second[1:]]
    plan += [lambda turn: turn.commit(*chunks)] * 2
    message: Any = client.chat.completions.create(model="echo", messages=ASK).choices[0].message
    assert (message.content, message.reasoning_content) == ("one\n\ntwo", "hm")
    pieces = client.chat.completions.create(model="echo", messages=ASK, stream=True)
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == "one\n\ntwo"


def test_what_a_crash_took_back_is_not_in_a_whole_completion(client: OpenAI, plan: Plan) -> None:
    dead, redone = say("dead"), say("alive")
    plan.append(lambda turn: turn.commit(*dead[:4], {"type": "reset-step"}, *redone[2:]))
    assert client.chat.completions.create(model="echo", messages=ASK).choices[0].message.content == "alive"


def test_errors_have_the_shape_of_openai(client: OpenAI, gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="nobody", messages=ASK)
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as bad:
        client.chat.completions.create(model="echo", messages=[{"role": "assistant", "content": "x"}])
    assert bad.value.param == "messages"
    with pytest.raises(openai.AuthenticationError) as stranger:
        client.with_options(api_key="x").models.list()
    assert stranger.value.code == "invalid_api_key"
    reader = client.with_options(api_key=gateway.token("read:sessions"))
    assert list(reader.models.list()) == []
    with pytest.raises(openai.NotFoundError):
        reader.chat.completions.create(model="echo", messages=ASK)


def test_a_failed_turn_is_an_error(client: OpenAI, plan: Plan) -> None:
    broken = [{"type": "start", "messageId": "a"}, {"type": "error", "errorText": "it broke"}]
    plan += [lambda turn: turn.commit(*broken, outcome="failed")] * 2
    with pytest.raises(openai.InternalServerError, match="it broke"):
        client.with_options(max_retries=2).chat.completions.create(model="echo", messages=ASK)
    assert len(plan) == 1, "the client does not try again by itself"
    with pytest.raises(openai.APIError, match="it broke"):
        list(client.chat.completions.create(model="echo", messages=ASK, stream=True))


@pytest.mark.parametrize("named", [True, False])
def test_leaving_stops_the_answer_of_an_unnamed_chat_alone(client: OpenAI, worker: ScriptedWorker, named: bool) -> None:
    metadata = {"chat_id": "mine"} if named else {}
    stream = client.chat.completions.create(model="echo", messages=ASK, stream=True, metadata=metadata)
    turn = worker.claim()
    turn.append(*say("hello")[:4])
    assert next(iter(stream)).choices[0].delta.role == "assistant"
    stream.close()
    beat = {"type": "text-delta", "id": "t1", "delta": "."}
    if named:
        assert not any(turn.append(beat) for _ in range(50))
    else:
        until(lambda: turn.append(beat), "the stop")
    turn.commit({"type": "abort"}, outcome="stopped")


def test_a_request_made_twice_is_answered_once(client: OpenAI, plan: Plan) -> None:
    plan.append(lambda turn: turn.commit(*say("once")))
    again = {"Idempotency-Key": "k1"}
    for _ in range(2):
        found = client.chat.completions.create(model="echo", messages=ASK, extra_headers=again)
        assert found.choices[0].message.content == "once"


@pytest.mark.parametrize(
    ("field", "asked"),
    [("n", 2), ("logprobs", True), ("modalities", ["text", "audio"])],
)
def test_what_no_agent_can_give_is_refused(client: OpenAI, field: str, asked: Any) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="echo", messages=ASK, **{field: asked})
    assert refused.value.param == field


def test_what_is_not_served_is_told_in_openais_shape(client: OpenAI) -> None:
    for call in (
        lambda: client.embeddings.create(model="echo", input="hi"),
        lambda: client.completions.create(model="echo", prompt="hi"),
        lambda: client.responses.delete("resp_1"),
        lambda: client.responses.input_items.list("resp_1"),
        lambda: client.files.delete("file-1"),
    ):
        with pytest.raises(openai.NotFoundError, match="is not served here") as unserved:
            call()
        assert unserved.value.code == "unknown_url"
