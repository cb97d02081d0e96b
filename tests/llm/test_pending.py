"""Going on with a response: approvals, answers of the client, and what a crash left."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatagent.llm import ModelContext, Tool, client_tool, step_count_is, stream_text, tool
from chatagent.llm.pending import add_answers, steps_of
from chatagent.ui import to_model_messages
from tests.llm.model import DONE, Chunk, Model, call, calling, kinds, of_kind, read

TEXT_STEP = ["start-step", "text-start", "text-delta", "text-end", "finish-step"]


class Shop:
    """Tools that count how often they ran."""

    def __init__(self) -> None:
        self.paid: list[int] = []
        self.tools: dict[str, Tool] = {}

        @tool(needs_approval=True)
        async def pay(amount: int) -> str:
            self.paid.append(amount)
            return f"paid {amount}"

        @tool
        async def look(item: str) -> str:
            return f"{item} is there"

        @client_tool
        def sign() -> str:
            """Let the user sign."""
            raise AssertionError("the client answers")

        self.tools = {"pay": pay, "look": look, "sign": sign}


def part(call_id: str, name: str, state: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"tool-{name}", "toolCallId": call_id, "state": state, **fields}


def approved(call_id: str, amount: Any = 5, *, yes: bool = True, **reason: str) -> dict[str, Any]:
    approval = {"id": f"a-{call_id}", "approved": yes, **reason}
    return part(call_id, "pay", "approval-responded", input={"amount": amount}, approval=approval)


def go_on(
    model: Model, shop: Shop, *parts: dict[str, Any], answers: Any = (DONE,), kept: Any = None, **more: Any
) -> list[Chunk]:
    """The chunks with which a response that has `parts` goes on."""
    response = {"id": "m1", "role": "assistant", "parts": [{"type": "step-start"}, *parts]}
    ids = [each["toolCallId"] for each in parts if "toolCallId" in each] if kept is None else kept
    user = {"id": "u1", "role": "user", "parts": [{"type": "text", "text": "q"}]}
    context = ModelContext(tools=shop.tools, response=response, open_step=more.pop("open_step", False))
    messages = to_model_messages([user, response], keep_tool_calls=ids)
    return model.ask(*answers, context=context, messages=messages, **more)


def test_an_approved_call_runs_before_the_model_is_asked(model: Model) -> None:
    shop = Shop()
    chunks = go_on(model, shop, approved("c1"))
    assert kinds(chunks) == ["start", "tool-output-available", *TEXT_STEP, "finish"]
    assert shop.paid == [5]
    assert model.told[0][-1] == {"role": "tool", "tool_call_id": "c1", "content": "paid 5"}


def test_a_denied_call_does_not_run_and_the_model_reads_why(model: Model) -> None:
    shop = Shop()
    chunks = go_on(model, shop, approved("c1", yes=False, reason="too much"))
    assert kinds(chunks)[1] == "tool-output-denied"
    assert shop.paid == []
    assert model.told[0][-1]["content"] == "too much"


def test_what_the_client_sent_is_validated_again(model: Model) -> None:
    shop = Shop()
    chunks = go_on(model, shop, approved("c1", amount="all of it"))
    assert "tool-output-error" in kinds(chunks)
    assert shop.paid == []


def test_answers_are_told_in_the_order_of_their_calls(model: Model) -> None:
    shop = Shop()
    go_on(
        model,
        shop,
        part("c0", "look", "output-available", input={"item": "x"}, output="there"),
        approved("c1", 1),
        approved("c2", 2, yes=False),
        approved("c3", 3),
    )
    told = [(each["tool_call_id"], each["content"]) for each in model.told[0] if each["role"] == "tool"]
    assert told == [("c0", "there"), ("c1", "paid 1"), ("c2", "Tool call execution denied."), ("c3", "paid 3")]


def test_a_call_that_the_converter_left_out_is_told_all_the_same(model: Model) -> None:
    go_on(model, Shop(), {"type": "text", "text": "One moment."}, approved("c1"), kept=[])
    assistant, answer = model.told[0][-2:]
    assert assistant["content"] == "One moment."
    assert [each["id"] for each in assistant["tool_calls"]] == ["c1"]
    assert answer["content"] == "paid 5"


def test_the_model_waits_for_the_client(model: Model) -> None:
    shop = Shop()
    chunks = go_on(model, shop, approved("c1"), part("c2", "sign", "input-available", input={}), answers=())
    assert kinds(chunks) == ["start", "tool-output-available", "finish"]
    assert chunks[-1]["finishReason"] == "tool-calls"
    assert model.provider.requests == []


def test_a_call_that_the_user_allowed_the_client_is_the_clients_to_answer(model: Model) -> None:
    @client_tool(needs_approval=True)
    def locate() -> str:
        """Where the user is."""
        raise AssertionError("the client answers")

    shop = Shop()
    shop.tools["locate"] = locate
    allowed = {"id": "a", "approved": True}
    for state in ("approval-responded", "input-available"):
        pending = part("c1", "locate", state, input={}, approval=allowed)
        chunks = go_on(model, shop, pending, answers=())
        assert chunks[1] == {"type": "tool-input-available", "toolCallId": "c1", "toolName": "locate", "input": {}}
        assert chunks[-1] == {"type": "finish", "finishReason": "tool-calls"}
    chunks = go_on(
        model, shop, part("c1", "locate", "approval-responded", input={}, approval=allowed | {"approved": False})
    )
    assert kinds(chunks) == ["start", "tool-output-denied", *TEXT_STEP, "finish"]


def test_an_answer_of_the_client_is_the_models_turn(model: Model) -> None:
    chunks = go_on(model, Shop(), part("c1", "sign", "output-available", input={}, output="signed"))
    assert kinds(chunks) == ["start", *TEXT_STEP, "finish"]
    assert chunks[0]["messageId"] == "m1"
    assert model.told[0][-1]["content"] == "signed"


def test_a_tool_that_a_deploy_removed_is_an_answer(model: Model) -> None:
    gone = part("c1", "gone", "approval-responded", input={}, approval={"id": "a", "approved": True})
    chunks = go_on(model, Shop(), gone)
    assert "unavailable tool 'gone'" in of_kind(chunks, "tool-output-error")[0]["errorText"]
    assert kinds(chunks)[-1] == "finish"


def test_after_a_crash_only_the_open_calls_of_the_open_step_run(model: Model) -> None:
    chunks = go_on(
        model,
        Shop(),
        part("c1", "look", "output-available", input={"item": "x"}, output="kept"),
        part("c2", "look", "input-available", input={"item": "y"}),
        open_step=True,
    )
    assert kinds(chunks) == ["start", "tool-output-available", "finish-step", *TEXT_STEP, "finish"]
    assert [each["content"] for each in model.told[0] if each["role"] == "tool"] == ["kept", "y is there"]


def test_after_a_crash_an_open_step_whose_calls_are_answered_is_closed(model: Model) -> None:
    done = part("c1", "look", "output-available", input={"item": "x"}, output="kept")
    chunks = go_on(model, Shop(), done, open_step=True)
    assert kinds(chunks) == ["start", "finish-step", *TEXT_STEP, "finish"]


def test_after_a_crash_a_step_without_calls_goes_on_inside_the_open_one(model: Model) -> None:
    chunks = go_on(model, Shop(), open_step=True)
    assert kinds(chunks) == ["start", *TEXT_STEP[1:], "finish"]


def test_after_a_crash_a_tool_that_asks_still_asks(model: Model) -> None:
    shop = Shop()
    chunks = go_on(model, shop, part("c1", "pay", "input-available", input={"amount": 9}), open_step=True, answers=())
    assert kinds(chunks) == ["start", "tool-approval-request", "finish-step", "finish"]
    assert shop.paid == []


def test_a_preliminary_output_is_no_answer(model: Model) -> None:
    half = part("c1", "look", "output-available", input={"item": "x"}, output="half", preliminary=True)
    chunks = go_on(model, Shop(), half, open_step=True)
    assert of_kind(chunks, "tool-output-available")[0]["output"] == "x is there"
    assert model.told[0][-1]["content"] == "x is there"


@pytest.mark.parametrize(("limit", "requests"), [(1, 0), (2, 1), (3, 2)])
def test_steps_that_the_response_has_count(model: Model, limit: int, requests: int) -> None:
    script = calling(call("look", '{"item":"y"}', call_id="c2"))
    done = part("c1", "look", "output-available", input={"item": "x"}, output="kept")
    go_on(model, Shop(), done, open_step=True, answers=(script, script, script), stop_when=step_count_is(limit))
    assert len(model.provider.requests) == requests


def test_a_model_that_is_asked_on_the_side_leaves_the_pending_calls_alone(model: Model) -> None:
    shop = Shop()
    response = {"id": "m1", "role": "assistant", "parts": [{"type": "step-start"}, approved("c1")]}
    context = ModelContext(tools=shop.tools, response=response)

    async def title_then_answer() -> tuple[str, list[Chunk]]:
        side = model.stream([{"content": "A title"}, {"finish": "stop"}], context=context)
        title = await side.text
        return title, await read(model.stream(DONE, context=context))

    title, chunks = model.run(title_then_answer())
    assert title == "A title"
    assert kinds(chunks)[1] == "tool-output-available"
    assert shop.paid == [5]


def test_pending_calls_run_once_however_many_answers_there_are(model: Model) -> None:
    shop = Shop()
    response = {"id": "m1", "role": "assistant", "parts": [{"type": "step-start"}, approved("c1")]}
    context = ModelContext(tools=shop.tools, response=response)

    async def two() -> tuple[list[Chunk], list[Chunk]]:
        first, second = model.stream(DONE, DONE, context=context), model.stream(context=context)
        return await asyncio.gather(read(first), read(second))

    model.run(two())
    assert shop.paid == [5]


def test_outside_of_a_turn_there_is_nothing_pending(model: Model) -> None:
    async def ask() -> str:
        return await stream_text(
            "openai/fake", [{"role": "user", "content": "say hello"}], api_base=model.provider.url, api_key="k"
        ).text

    assert model.run(ask()) == "You said: say hello"


STATES = st.sampled_from(["input-available", "output-available", "output-error", "approval-responded"])


@given(st.lists(STATES, min_size=1, max_size=6), st.data())
def test_every_answered_call_is_told_once_and_in_order(states: list[str], data: st.DataObject) -> None:
    known = {"input": {}, "output": 1, "errorText": "e", "approval": {"id": "a", "approved": True}}
    parts = [part(f"c{at}", "look", state, **known) for at, state in enumerate(states)]
    calls = steps_of({"parts": parts}, {})[0].calls
    fresh = [each for each in calls if not each.answered and data.draw(st.booleans())]
    for each in fresh:
        each.state, each.output = "done", "fresh"
    kept = [each["toolCallId"] for each in parts if data.draw(st.booleans())]
    user = {"role": "user", "parts": [{"type": "text", "text": "q"}]}
    messages = to_model_messages([user, {"role": "assistant", "parts": parts}], keep_tool_calls=kept)
    found = add_answers(messages, calls, fresh)
    assert [each["id"] for each in found[1]["tool_calls"]] == [each.id for each in calls]
    assert [each["tool_call_id"] for each in found[2:]] == [each.id for each in calls if each.answered]
