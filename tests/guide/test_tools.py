"""`docs/guide/tools.md`."""

from __future__ import annotations

import asyncio

import pytest

from chatagent import chat, step_count_is, stream_text
from chatagent.testing import TestChat, calls, pauses, respond
from tests.guide.page import Page
from tests.stack import wait_until

PAGE = Page("tools")


def with_tool(tool: object) -> chat.Agent[object]:
    """An agent with one tool of the page."""

    @chat.agent("any", tools=[tool])
    async def any_agent(turn: chat.Turn[object]) -> object:
        return stream_text("openai/gpt-4o", turn.messages, stop_when=step_count_is(5))

    return any_agent


def test_every_block_is_run() -> None:
    PAGE.assert_every_block_is_run(__file__)


def test_a_function_is_a_tool() -> None:
    with TestChat(PAGE.run("tool")["support"]) as chat:
        chat.model.script(calls("search_docs", query="owls", limit=2), calls("search_docs", limit="x"), "done")
        answer = chat.send("hi")
        first, wrong = answer.tool_calls
        assert first.output == ["owls: page 1", "owls: page 2"]
        assert wrong.state == "output-error" and "query" in str(wrong.error)
        (definition,) = chat.model.requests[0].definitions
        assert definition["function"]["description"] == "Search the product documentation."
        schema = definition["function"]["parameters"]
        assert schema["properties"]["query"]["description"] == "What to look for, in the user's words."
        assert schema["required"] == ["query"]
        assert answer.text == "done"


def test_a_method_is_a_tool_of_its_object() -> None:
    (count,) = PAGE.run("method")["tools"]
    with TestChat(with_tool(count)) as chat:
        chat.model.script(calls("count", article="A-17"), "three")
        assert chat.send("how many?").tool_calls[0].output == 3
        (definition,) = chat.model.requests[0].definitions
        described = {"description": "Number of the article, as in A-17.", "type": "string"}
        assert definition["function"]["parameters"]["properties"] == {"article": described}


def test_an_error_of_a_tool_is_told_to_the_model_and_may_be_masked_for_the_page() -> None:
    def broken() -> str:
        """Break."""
        raise ValueError("no such order")

    cases: list[tuple[chat.StreamOptions, str]] = [
        ({}, "ValueError: no such order"),
        ({"redact_tool_errors": True}, "An error occurred."),
    ]
    for options, shown in cases:

        @chat.agent("broken", tools=[broken], stream_options=options)
        async def agent(turn: chat.Turn[object]) -> object:
            return stream_text("openai/gpt-4o", turn.messages)

        with TestChat(agent) as talk:
            talk.model.script(calls("broken"), "sorry")
            assert talk.send("hi").tool_calls[0].error == shown
            assert "no such order" in talk.model.last_request.messages[-1]["content"]


def test_a_function_chooses_the_tools_of_a_turn() -> None:
    with TestChat(PAGE.run("chosen")["shop"]) as chat:
        chat.model.respond(lambda request: "ok")
        chat.send("hi")
        chat.send("hi", client_data={"plan": "pro"})
        assert [request.tools for request in chat.model.requests] == [["price_list"], ["price_list", "discount"]]


def test_a_generator_gives_preliminary_outputs() -> None:
    with TestChat(with_tool(PAGE.run("growing")["count_files"])) as chat:
        chat.model.script(calls("count_files", folder="/"), "ok")
        answer = chat.send("hi")
        outputs = [chunk for chunk in answer.chunks if chunk["type"] == "tool-output-available"]
        assert [chunk["output"]["files"] for chunk in outputs] == [10, 20, 30, 30]
        assert [chunk.get("preliminary", False) for chunk in outputs] == [True, True, True, False]
        assert answer.tool_calls[0].output == {"files": 30, "done": True}


def test_the_model_reads_a_summary_in_later_turns_too() -> None:
    with TestChat(with_tool(PAGE.run("summary")["query"])) as chat:
        chat.model.script(calls("query", sql="select"), "ok", "ok")
        assert len(chat.send("hi").tool_calls[0].output) == 1000
        chat.send("again")
        for request in chat.model.requests[1:]:
            (told,) = [message for message in request.messages if message["role"] == "tool"]
            assert told["content"] == "1000 rows, the first is [0, 0]"


def test_the_client_answers_a_tool_without_a_body() -> None:
    with TestChat(with_tool(PAGE.run("client-tool")["pick_colour"])) as chat:
        chat.model.script(calls("pick_colour", question="which?"), "blue it is")
        answer = chat.send("hi")
        assert (answer.outcome, answer.tool_calls[0].state) == ("waiting", "input-available")
        chat.restart()
        assert chat.answer_tool("blue").text == "blue it is"
        assert chat.model.last_request.messages[-1]["content"] == "blue"


@pytest.mark.parametrize("approved", [True, False])
def test_a_large_refund_waits_for_a_yes(approved: bool) -> None:
    with TestChat(with_tool(PAGE.run("approval")["refund"])) as chat:
        chat.model.script(calls("refund", order="a", euros=5), "paid", calls("refund", order="b", euros=50), "well")
        assert chat.send("little").tool_calls[0].output == "paid 5.0 for a"
        asked = chat.send("much")
        assert (asked.outcome, asked.tool_calls[0].state) == ("waiting", "approval-requested")
        chat.restart()
        answer = chat.approve() if approved else chat.deny(reason="too much")
        assert answer.tool_calls[0].state == ("output-available" if approved else "output-denied")
        assert ("paid 50" if approved else "too much") in str(chat.model.last_request.messages[-1]["content"])


def test_an_agent_may_insist_on_its_approval() -> None:
    with TestChat(PAGE.run("gate")["careful"]) as chat:
        chat.model.script(calls("delete_account", user="ada"), "done")
        asked = chat.send("delete me")
        refused = chat.send("how are you?")
        assert (refused.outcome, refused.error) == ("failed", "Please decide about delete_account first.")
        assert len(chat.history) == 2
        assert chat.approve(asked.tool_calls[0]).text == "done"


def test_a_task_as_a_tool_reads_the_locals_of_its_parent() -> None:
    names = PAGE.run("task-tool")
    with TestChat(names["analyst"], serve=[names["analyze_data"]]) as chat:
        chat.model.script(calls("analyze-data", query="sales"), "done")
        answer = chat.send("hi")
        assert answer.tool_calls[0].output == {"query": "sales", "for": "Alice"}
        assert chat.model.requests[0].definitions[0]["function"]["description"] == "Analyze the user's data."


def test_a_tool_of_ones_own_runs_a_task() -> None:
    names = PAGE.run("tool-execute", **PAGE.run("task-tool"))

    @chat.agent("own", tools=[names["analyze"]])
    async def own(turn: chat.Turn[object]) -> object:
        names["user"].init(names["User"](name="Bo", plan="free"))
        return stream_text("openai/gpt-4o", turn.messages)

    with TestChat(own, serve=[names["analyze_data"]]) as talk:
        talk.model.script(calls("analyze", query="sales"), "done")
        assert talk.send("hi").outcome == "waiting"
        assert talk.approve().tool_calls[0].output == {"query": "sales", "for": "Bo"}


def test_tasks_tell_the_chat_how_far_they_are() -> None:
    names = PAGE.run("progress")
    with TestChat(names["researcher"], serve=[names["research"], names["my_subtask"]]) as chat:
        chat.model.script(calls("research", query="owls") + calls("my-subtask", query="owls", call_id="k1"), "done")
        answer = chat.send("hi", client_data={"user_id": "ada"})
        told = [chunk for chunk in answer.chunks if chunk["type"] == "data-research-status"]
        assert [chunk["data"]["status"] for chunk in told] == ["in-progress", "done"]
        assert told[0]["id"] == told[1]["id"]
        (progress,) = [chunk for chunk in answer.chunks if chunk["type"] == "data-progress"]
        assert (progress["id"], progress["data"]["userId"]) == ("k1", "ada")
        assert not any(part["type"].startswith("data-") for part in answer.message["parts"]), "not stored"
        assert [call.output for call in answer.tool_calls] == [
            ["owls 0", "owls 1", "owls 2"],
            {"result": "done", "chat": chat.chat_id},
        ]


def test_another_agent_answers_in_the_card_and_remembers() -> None:
    names = PAGE.run("agent-tool")
    with TestChat(names["editor"], serve=[names["translator"]]) as chat:
        chat.model.script(*(calls("translator", prompt="owl?"), "ok") * 2, model="openai/gpt-4o")
        chat.model.script("Eule", "die Eule", model="openai/gpt-4o-mini")
        answer = chat.send("hi")
        assert answer.tool_calls[0].output["parts"][-1]["text"] == "Eule"
        assert chat.model.last_request.messages[-1]["content"] == "Eule"
        chat.send("again")
        (*_, asked) = [request for request in chat.model.requests if request.model == "openai/gpt-4o-mini"]
        assert [message["content"] for message in asked.messages] == ["owl?", "Eule", "owl?"]
        assert asked.system == "You translate."


def test_a_second_stream_text_in_the_card() -> None:
    with TestChat(with_tool(PAGE.run("card")["summarise"])) as chat:
        chat.model.script(calls("summarise", text="long"), "ok", model="openai/gpt-4o")
        chat.model.script("short", model="openai/gpt-4o-mini")
        answer = chat.send("hi")
        assert answer.tool_calls[0].output["parts"][-1]["text"] == "short"
        assert chat.model.last_request.messages[-1]["content"] == "short"


def test_a_finished_call_is_never_made_again() -> None:
    ran: list[str] = []

    async def look() -> str:
        """Look."""
        ran.append("look")
        return "snow"

    with TestChat(with_tool(look)) as chat:
        chat.model.script(calls("look"), pauses(), "after the crash")
        answer = chat.send("hi", wait=False)
        chat.wait_paused()
        chat.crash()
        chat.recover()
        assert answer.text == "after the crash"
        assert ran == ["look"]


def test_a_stop_cancels_the_tools_that_run() -> None:
    cancelled: list[str] = []

    async def endless() -> None:
        """Never end."""
        chat.response.write({"type": "data-note", "data": 1})
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append("endless")
            raise

    with TestChat(with_tool(endless)) as talk:
        talk.model.script(calls("endless"))
        answer = talk.send("hi", wait=False)
        wait_until(lambda: any(chunk["type"] == "data-note" for chunk in answer.so_far), "the tool runs")
        talk.stop()
        assert (answer.outcome, cancelled) == ("stopped", ["endless"])
        assert answer.data["note"] == 1


def test_the_model_may_be_given_what_is_asked() -> None:
    """`stream_text(tools=…)` counts for one call of the model."""

    @chat.agent("once")
    async def once(turn: chat.Turn[object]) -> object:
        return stream_text("openai/gpt-4o", turn.messages, tools=[PAGE.run("tool")["search_docs"]])

    with TestChat(once) as talk:
        talk.model.script(respond(lambda request: ",".join(request.tools)))
        assert talk.send("hi").text == "search_docs"
