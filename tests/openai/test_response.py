"""Responses and conversations with the real package."""

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
from tests.openai.test_completion import CALL

ASKING = [
    *CALL[:3],
    {"type": "tool-approval-request", "approvalId": "ap1", "toolCallId": "c1"},
    *CALL[3:],
]


def test_a_response(client: OpenAI, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    found = client.responses.create(model="echo", input="hi")
    assert (found.status, found.output_text) == ("completed", "You said: hi")
    kept = client.responses.retrieve(found.id)
    assert (kept.status, kept.output_text) == ("completed", "You said: hi")


def test_the_events_of_a_streamed_response(client: OpenAI, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    with client.responses.stream(model="echo", input="hi") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert kinds[4] == "response.output_text.delta"
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert final.output_text == "You said: hi"


def test_with_asyncio(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)

    async def ask() -> str:
        plain = httpx.AsyncClient(**LOOPBACK)
        async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.token(), http_client=plain) as client:
            stream = await client.responses.create(model="echo", input="hi", stream=True)
            return "".join([event.delta async for event in stream if event.type == "response.output_text.delta"])

    assert asyncio.run(ask()) == "You said: hi"


def test_a_previous_response_goes_on_in_its_chat(client: OpenAI, plan: Plan) -> None:
    seen: list[Turn] = []
    plan.append(lambda turn: turn.commit(*say("one", message_id="a1")))
    plan.append(noting(seen, say("two", message_id="a2")))
    plan.append(noting(seen, say("three", message_id="a3")))
    first = client.responses.create(model="echo", input="a", instructions="be brief")
    second = client.responses.create(model="echo", input="b", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert [message["parts"][-1]["text"] for message in seen[0].messages] == ["a", "one", "b"]
    # Going on from an answer in the middle leaves the chat as it is and goes on in another.
    branch = client.responses.create(model="echo", input="c", previous_response_id=first.id)
    assert [message["parts"][-1]["text"] for message in seen[1].messages] == ["a", "one", "c"]
    assert branch.conversation != second.conversation
    assert client.responses.retrieve(second.id).output_text == "two"


def test_a_conversation_is_a_chat(client: OpenAI, plan: Plan) -> None:
    plan += [lambda turn: turn.commit(*say("one", message_id="a1"))]
    items: list[Any] = [{"type": "message", "role": "user", "content": "before"}]
    conversation = client.conversations.create(metadata={"model": "echo"}, items=items)
    assert client.conversations.retrieve(conversation.id).id == conversation.id
    found = client.responses.create(model="echo", input="a", conversation=conversation.id)
    assert found.conversation is not None
    assert found.conversation.id == conversation.id
    told: list[Any] = list(client.conversations.items.list(conversation.id, order="asc", limit=1))
    assert [item.content[0].text for item in told] == ["before", "a", "one"]
    with pytest.raises(openai.BadRequestError):
        client.responses.create(model="other", input="a", conversation=conversation.id)


def test_a_tool_call_is_answered(client: OpenAI, plan: Plan) -> None:
    seen: list[Turn] = []
    plan.append(lambda turn: turn.commit(*CALL))
    plan.append(noting(seen, say("in Rome")[1:]))
    with client.responses.stream(model="echo", input="where?") as stream:
        first = stream.get_final_response()
    call: Any = first.output[0]
    assert (call.type, call.name, call.arguments) == ("function_call", "place", '{"of": "me"}')
    answer: list[Any] = [{"type": "function_call_output", "call_id": call.call_id, "output": "Rome"}]
    second = client.responses.create(model="echo", input=answer, previous_response_id=first.id)
    assert seen[0].messages[-1]["parts"][-1]["output"] == "Rome"
    assert second.output_text == "in Rome"
    assert client.responses.retrieve(second.id).output_text == "in Rome"


def test_an_approval_is_given(client: OpenAI, plan: Plan) -> None:
    seen: list[Turn] = []
    plan.append(lambda turn: turn.commit(*ASKING))
    plan.append(noting(seen, say("done")[1:]))
    first = client.responses.create(model="echo", input="pay")
    asked: Any = first.output[0]
    assert asked.type == "mcp_approval_request"
    answer: list[Any] = [{"type": "mcp_approval_response", "approval_request_id": asked.id, "approve": True}]
    client.responses.create(model="echo", input=answer, previous_response_id=first.id)
    assert seen[0].messages[-1]["parts"][-1]["approval"] == {"id": "ap1", "approved": True}


def test_a_response_in_the_background_is_cancelled(client: OpenAI, worker: ScriptedWorker) -> None:
    found = client.responses.create(model="echo", input="hi", background=True)
    assert found.status == "queued"

    def answer(turn: Turn) -> None:
        turn.append(*say("half of it")[:4])
        while not turn.append({"type": "message-metadata", "messageMetadata": {"still": "writing"}}):
            pass
        turn.commit({"type": "abort"}, outcome="stopped")

    worker.serve(answer)
    until(lambda: client.responses.retrieve(found.id).status == "in_progress", "a running turn")
    stopped = client.responses.cancel(found.id)
    assert (stopped.status, stopped.output_text) == ("cancelled", "half")


def test_a_response_that_waits_is_taken_out(client: OpenAI, worker: ScriptedWorker) -> None:
    first = client.responses.create(model="echo", input="one", background=True)
    turn = worker.claim()
    name = first.conversation.id if first.conversation is not None else ""
    second = client.responses.create(model="echo", input="two", background=True, conversation=name)
    assert client.responses.retrieve(second.id).status == "queued"
    assert client.responses.cancel(second.id).status == "cancelled"
    turn.commit(*say("done"))
    assert client.responses.retrieve(second.id).status == "cancelled"
    assert client.responses.retrieve(first.id).output_text == "done"
    refused = {"busy": "reject"}
    third = client.responses.create(model="echo", input="three", background=True, conversation=name)
    with pytest.raises(openai.ConflictError):
        client.responses.create(model="echo", input="four", conversation=name, extra_body=refused)
    assert client.responses.cancel(third.id).status == "cancelled"


def test_a_stream_goes_on_after_a_number(client: OpenAI, worker: ScriptedWorker) -> None:
    stream = client.responses.create(model="echo", input="hi", stream=True)
    turn = worker.claim()
    turn.append(*say("one two three")[:5])
    told = []
    for event in stream:
        told.append(event)
        if event.type == "response.output_text.delta":
            break
    stream.close()
    turn.commit(*say("one two three")[5:])
    created: Any = told[0]
    after = told[-1].sequence_number
    told += client.responses.retrieve(created.response.id, stream=True, starting_after=after)
    assert [event.sequence_number for event in told] == list(range(len(told)))
    final: Any = told[-1]
    assert final.response.output_text == "one two three"
    assert "".join(event.delta for event in told if event.type == "response.output_text.delta") == "one two three"


def test_a_stream_of_an_answer_of_long_ago_tells_its_end(client: OpenAI, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    first = client.responses.create(model="echo", input="0")
    for text in "123":
        client.responses.create(model="echo", input=text, conversation=first.conversation.id)  # type: ignore[union-attr]
    (last,) = list(client.responses.retrieve(first.id, stream=True, starting_after=3))
    assert last.type == "response.completed"
    assert last.response.output_text == "You said: 0"


def test_what_a_crash_took_back_is_no_output(client: OpenAI, plan: Plan) -> None:
    dead, redone = say("dead"), say("alive")
    plan.append(lambda turn: turn.commit(*dead[:4], {"type": "reset-step"}, *redone[2:]))
    events = list(client.responses.create(model="echo", input="hi", stream=True))
    done: list[Any] = [event for event in events if event.type == "response.output_item.done"]
    assert [event.item.status for event in done] == ["incomplete", "completed"]
    final: Any = events[-1]
    assert final.response.output_text == "alive"


def test_a_failed_turn_is_a_failed_response(client: OpenAI, plan: Plan) -> None:
    broken = [{"type": "start", "messageId": "a"}, {"type": "error", "errorText": "it broke"}]
    plan += [lambda turn: turn.commit(*broken, outcome="failed")] * 2
    found = client.responses.create(model="echo", input="hi")
    assert found.status == "failed"
    assert found.error is not None
    assert found.error.message == "it broke"
    assert list(client.responses.create(model="echo", input="hi", stream=True))[-1].type == "response.failed"


def test_a_response_is_for_those_who_may_read_its_chat(client: OpenAI, gateway: GatewayProcess, plan: Plan) -> None:
    plan.append(lambda turn: turn.commit(*say("mine")))
    ann = client.with_options(api_key=gateway.token("read:sessions", "write:sessions", "write:tasks", user="ann"))
    bob = client.with_options(api_key=gateway.token("read:sessions", "write:sessions", "write:tasks", user="bob"))
    found = ann.responses.create(model="echo", input="hi")
    for call in (bob.responses.retrieve, bob.responses.cancel):
        with pytest.raises(openai.PermissionDeniedError):
            call(found.id)
    with pytest.raises(openai.PermissionDeniedError):
        bob.responses.create(model="echo", input="hi", previous_response_id=found.id)
    with pytest.raises(openai.NotFoundError):
        ann.responses.retrieve("resp_nothing")
