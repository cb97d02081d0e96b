"""The verbs of `TestChat`: what a user and an operator do to a chat."""

from __future__ import annotations

from typing import Any

import pytest

from chatagent import ai, stream_text, tool
from chatagent import chat as c
from chatagent.errors import Closed
from chatagent.testing import ChatAgent, calls, respond, says, thinks
from tests.testing.agents import (
    Client,
    Customer,
    Database,
    Word,
    counter,
    customer,
    database,
    desk,
    librarian,
    look_up,
    pay,
    shop,
    support,
)

ADA = {"user_id": "ada"}


def test_a_conversation_with_a_tool(chat_agent: ChatAgent) -> None:
    chat = chat_agent(support, client_data=ADA)
    chat.model.script(thinks("hm") + says("Let me ", "see.") + calls("refund", order=7), says("Done.").uses(20, 3))
    answer = chat.send("refund order 7")
    assert (answer.outcome, answer.text, answer.finish_reason) == ("completed", "Let me see.Done.", "stop")
    (call,) = answer.tool_calls
    assert (call.name, call.input, call.output, call.state) == (
        "refund",
        {"order": 7},
        "refunded 7",
        "output-available",
    )
    deltas = [chunk["delta"] for chunk in answer.chunks if chunk["type"] == "text-delta"]
    assert "".join(deltas) == answer.text
    assert answer.usage == {"inputTokens": 20, "outputTokens": 3, "totalTokens": 23}
    assert answer.error is None
    assert [message["role"] for message in chat.history] == ["user", "assistant"]
    assert answer.message == chat.history[-1]
    first, second = chat.model.requests
    assert (first.model, first.system, first.prompt) == ("openai/gpt-4o", "You help.", "refund order 7")
    assert first.tools == ["refund", "pay", "locate"]
    assert first.params == {"temperature": 0.5}
    assert [message["role"] for message in second.messages] == ["user", "assistant", "tool"]
    assert [record["type"] for record in chat.raw_chunks][:2] == ["turn-start", "start"]


def test_client_data_is_checked_each_time(chat_agent: ChatAgent) -> None:
    chat = chat_agent(support)
    assert chat.send("hi").outcome == "failed"
    chat.model.script("hello")
    assert chat.send("hi", client_data=Client(user_id="ada")).text == "hello"


def test_an_approval_is_given_or_denied(chat_agent: ChatAgent) -> None:
    chat = chat_agent(support, client_data=ADA)
    chat.model.script(calls("pay", amount=5), "Paid.", calls("pay", amount=6), "As you like.")
    asked = chat.send("pay 5")
    assert asked.outcome == "waiting"
    paid = chat.approve()
    assert (paid.text, paid.tool_calls[0].output) == ("Paid.", "paid 5")
    chat.send("pay 6")
    denied = chat.deny("pay", reason="too much")
    assert (denied.text, denied.tool_calls[0].state) == ("As you like.", "output-denied")


def test_the_client_answers_a_tool_of_its_own(chat_agent: ChatAgent) -> None:
    chat = chat_agent(support, client_data=ADA)
    chat.model.script(calls("locate", why="weather"), "It rains in Oslo.")
    asked = chat.send("do I need a coat?")
    with pytest.raises(LookupError, match=r"locate \(call_1\)"):
        chat.answer_tool("Oslo", call="refund")
    answer = chat.answer_tool("Oslo", call=asked.tool_calls[0])
    assert answer.text == "It rains in Oslo."
    assert "Oslo" in chat.model.last_request.messages[-1]["content"]


def test_edit_and_regenerate(chat_agent: ChatAgent) -> None:
    chat = chat_agent(support, client_data=ADA)
    chat.model.script("one", "two", "three")
    chat.send("first")
    chat.edit(chat.history[0]["id"], "first, but better")
    assert [message["parts"][0]["text"] for message in chat.history if message["role"] == "user"] == [
        "first, but better"
    ]
    assert chat.regenerate().text == "three"
    assert len(chat.history) == 2


def test_an_action_is_no_turn(chat_agent: ChatAgent) -> None:
    chat = chat_agent(support, client_data=ADA)
    chat.model.script("one")
    chat.send("first")
    undone = chat.action({"type": "undo"})
    assert (undone.outcome, undone.text) == ("completed", "")
    assert chat.history == []
    assert chat.action({"type": "redo"}).outcome == "failed"


def test_given_locals_injected_in_a_test_then_hooks_read_them(chat_agent: ChatAgent) -> None:
    """Behaviour 84."""
    chat = chat_agent(shop)
    chat.locals[customer] = Customer("Ada")
    chat.locals[database] = Database({7: "a fake"})
    assert chat.send("hi").text == "Ada wants a fake"
    chat.restart()
    assert chat.send("again").text == "Ada wants a fake"


def test_without_injected_locals_the_agent_makes_its_own(chat_agent: ChatAgent) -> None:
    chat = chat_agent(shop)
    chat.locals[customer] = Customer("Ada")
    assert chat.send("hi").text == "Ada wants the real thing"


def test_a_seeded_chat_goes_on(chat_agent: ChatAgent) -> None:
    chat = chat_agent(support, client_data=ADA)
    chat.seed(["What is 1 + 1?", {"role": "assistant", "parts": [{"type": "text", "text": "2"}]}])
    chat.model.script("4")
    chat.send("And doubled?")
    assert [message["content"] for message in chat.model.last_request.messages] == [
        "What is 1 + 1?",
        "2",
        "And doubled?",
    ]
    assert chat.session.turn == 2


def test_what_is_injected_is_read_by_the_next_turn(chat_agent: ChatAgent) -> None:
    chat = chat_agent(support, client_data=ADA)
    chat.model.script("ok")
    chat.inject("Be brief.", {"role": "user", "content": "by the way"})
    chat.send("hi")
    assert chat.model.last_request.system == "You help.\n\nBe brief."
    assert chat.model.last_request.messages[-1]["content"] == "by the way"


def test_a_closed_chat_takes_nothing_more(chat_agent: ChatAgent) -> None:
    chat = chat_agent(support, client_data=ADA)
    chat.close("enough")
    with pytest.raises(Closed):
        chat.send("hi")


def test_a_preload_starts_the_run_before_the_first_message(chat_agent: ChatAgent) -> None:
    chat = chat_agent(support, client_data=ADA)
    chat.preload()
    assert chat.session.preloaded
    assert chat.chunks == []


def test_sub_agents_and_tasks_are_served_and_share_the_model(chat_agent: ChatAgent) -> None:
    chat = chat_agent(desk, serve=[librarian, look_up])
    chat.model.script(
        calls("librarian", prompt="What is a noun?"), calls("look-up", word="noun"), "A word.", "Said so."
    )
    chat.model.script("a naming word", model="openai/gpt-4o-mini")
    answer = chat.send("ask the librarian")
    assert answer.text == "Said so."
    assert answer.tool_calls[0].output["parts"][-1]["text"] == "A word."
    assert [request.model for request in chat.model.requests].count("openai/gpt-4o-mini") == 1
    assert chat.model.left == []


def test_an_output_that_no_chunk_can_carry_is_an_error_of_its_tool(chat_agent: ChatAgent) -> None:
    @tool
    def dump(size: int) -> str:
        return "x" * size

    @c.agent("dumper", tools=[dump])
    async def dumper(turn: c.Turn[Any]) -> Any:
        return stream_text("openai/gpt-4o", turn.messages)

    chat = chat_agent(dumper)
    chat.model.script(calls("dump", size=1_100_000), calls("dump", size=10), "Less, then.")
    answer = chat.send("all")
    assert (answer.text, answer.tool_calls[1].output) == ("Less, then.", "x" * 10)
    assert "the output of dump is larger than" in str(answer.tool_calls[0].error)


def test_a_model_is_told_that_the_other_agent_waits_for_the_user(chat_agent: ChatAgent) -> None:
    @c.agent("cashier", tools=[pay])
    async def cashier(turn: c.Turn[Any]) -> Any:
        return stream_text("openai/gpt-4o", turn.messages)

    @c.agent("boss", tools=[ai.agent_tool(cashier)])
    async def boss(turn: c.Turn[Any]) -> Any:
        return stream_text("openai/gpt-4o", turn.messages)

    chat = chat_agent(boss, serve=[cashier])
    chat.model.script(calls("cashier", prompt="Pay 7."), says("Well. ") + calls("pay", amount=7), "It asks.")
    assert chat.send("pay").text == "It asks."
    told = chat.model.last_request.messages[-1]["content"]
    assert told == "Well. \n\nIt waits for the user's answer, in a chat of its own, before it can go on: pay."


def test_agents_are_talked_to_and_tasks_are_served(chat_agent: ChatAgent) -> None:
    anything: list[Any] = ["support", None, look_up]
    for each in anything:
        with pytest.raises(TypeError, match="is no agent"):
            chat_agent(each)
    with pytest.raises(LookupError, match="'look-up' is not served: name it in serve="):
        chat_agent(shop).run(look_up, Word(word="x"))


def test_what_waits_for_nobody_cannot_be_answered(chat_agent: ChatAgent) -> None:
    chat = chat_agent(support, client_data=Client(user_id="ada"))
    with pytest.raises(LookupError, match="no call of the conversation waits"):
        chat.approve()
    chat.model.script(calls("pay", amount=1) + calls("pay", amount=2))
    chat.send("twice")
    with pytest.raises(LookupError, match=r"several calls wait, name one; .*pay \(call_1\), pay \(call_2\)"):
        chat.approve()


def test_a_task_is_run_by_itself(chat_agent: ChatAgent) -> None:
    chat = chat_agent(librarian, serve=[look_up])
    chat.model.script(respond(lambda request: f"{request.prompt} done"))
    assert chat.run(look_up, Word(word="noun")).unwrap() == "Define noun. done"


def test_a_loop_keeps_its_variables_until_it_is_restarted(chat_agent: ChatAgent) -> None:
    chat = chat_agent(counter)
    assert [chat.send("a").text, chat.send("b").text] == ["message 1", "message 2"]
    chat.restart()
    assert chat.send("c").text == "message 1"


def test_two_chats_share_workers_and_nothing_else(chat_agent: ChatAgent) -> None:
    chat = chat_agent(support, client_data=ADA)
    other = chat.another(client_data={"user_id": "bob"})
    chat.model.script("to ada", "to bob")
    assert (chat.send("hi").text, other.send("hi").text) == ("to ada", "to bob")
    assert len(chat.history) == len(other.history) == 2


def test_the_prompt_of_a_run_is_taken_back(chat_agent: ChatAgent) -> None:
    @c.agent("prompted", system="base")
    async def prompted(turn: c.Turn[Any]) -> Any:
        c.prompt.set("brief" if turn.number == 0 else None)
        return stream_text("openai/gpt-4o", turn.messages)

    chat = chat_agent(prompted)
    chat.model.script("one", "two")
    chat.send("1")
    chat.send("2")
    assert [request.system for request in chat.model.requests] == ["brief", "base"]
