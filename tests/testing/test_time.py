"""Stops, steering, crashes and deploys, placed exactly where the test wants them, without a single sleep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chatagent import chat as c
from chatagent import stream_text, tool
from chatagent.errors import Busy
from chatagent.testing import ChatAgent, NotAnswered, calls, pauses, says
from tests.testing.agents import counter, desk, librarian, look_up, support


class Shop:
    """An agent whose tool has a side effect, and which notes its hooks."""

    def __init__(self, **options: Any) -> None:
        self.refunds: list[int] = []
        self.hooks: list[str] = []

        @tool
        async def refund(order: int) -> str:
            """Refund an order."""
            self.refunds.append(order)
            return "refunded"

        @c.agent("shop", tools=[refund], **options)
        async def agent(turn: c.Turn[Any]) -> Any:
            return stream_text("openai/gpt-4o", turn.messages)

        self.agent = agent
        for name in ("on_boot", "on_chat_start", "on_turn_complete", "on_chat_suspend", "on_chat_resume"):
            agent.add(name, self._note(name))

    def _note(self, name: str) -> Callable[[Any], None]:
        return lambda event: self.hooks.append(name)


def test_a_stop_in_the_middle_of_a_sentence(chat_agent: ChatAgent) -> None:
    chat = chat_agent(Shop().agent)
    chat.model.script(says("Once upon ") + pauses() + "a time", "again")
    answer = chat.send("tell me a story", wait=False)
    assert chat.wait_paused() == "the model"
    assert answer.so_far[-1] == {"type": "text-delta", "id": answer.so_far[-1]["id"], "delta": "Once upon "}
    chat.stop()
    assert (answer.outcome, answer.text) == ("stopped", "Once upon ")
    assert chat.send("go on").text == "again"


def test_a_stop_while_a_tool_is_about_to_run(chat_agent: ChatAgent) -> None:
    shop = Shop()
    chat = chat_agent(shop.agent)
    chat.model.script(calls("refund", order=7))
    chat.pause_at("refund")
    answer = chat.send("refund 7", wait=False)
    assert chat.wait_paused() == "refund"
    chat.stop()
    assert answer.outcome == "stopped"
    assert shop.refunds == []


def test_a_steered_message_is_read_at_the_next_step(chat_agent: ChatAgent) -> None:
    chat = chat_agent(Shop().agent)
    chat.model.script(calls("refund", order=7) + pauses(), "in Norwegian")
    answer = chat.send("refund 7", wait=False)
    chat.wait_paused()
    steered = chat.steer("in Norwegian, please")
    assert [message["parts"][0]["text"] for message in chat.queue] == ["in Norwegian, please"]
    chat.resume()
    assert answer.outcome == "completed"
    assert chat.model.last_request.prompt == "in Norwegian, please"
    assert steered.message == answer.message
    assert len(chat.history) == 2


def test_a_steered_message_is_read_after_a_tool_that_was_approved(chat_agent: ChatAgent) -> None:
    chat = chat_agent(support, client_data={"user_id": "ada"})
    chat.model.script(calls("pay", amount=5), "Paid, as you like it.")
    assert chat.send("pay 5").outcome == "waiting"
    chat.pause_at("pay")
    answer = chat.approve(wait=False)
    chat.wait_paused()
    steered = chat.steer("in French")
    chat.resume()
    assert (answer.text, steered.text) == ("Paid, as you like it.", "Paid, as you like it.")
    assert chat.model.last_request.prompt == "in French"
    kinds = [part["type"] for part in chat.history[-1]["parts"]]
    assert kinds == ["step-start", "tool-pay", "steering-message", "step-start", "text"]


@pytest.mark.parametrize("broken", ["should_inject", "prepare", "on_received", "on_injected"])
def test_a_message_that_cannot_be_steered_in_is_answered_by_itself(chat_agent: ChatAgent, broken: str) -> None:
    def fail(batch: Any) -> Any:
        raise ValueError("no")

    shop = Shop(pending_messages=c.PendingMessages(**{"should_inject": lambda batch: True, broken: fail}))
    chat = chat_agent(shop.agent)
    chat.model.script(calls("refund", order=7), "In French.")
    chat.pause_at("refund")
    answer = chat.send("refund 7", wait=False)
    chat.wait_paused()
    other = chat.send("in French", wait=False)
    chat.resume()
    assert (answer.outcome, other.outcome, other.text) == ("failed", "completed", "In French.")
    assert [message["role"] for message in chat.history] == ["user", "assistant", "user", "assistant"]


@pytest.mark.parametrize("place", ["refund", "the model"])
def test_a_steered_message_is_read_in_the_answer_that_goes_on_after_crashes(chat_agent: ChatAgent, place: str) -> None:
    shop = Shop()
    chat = chat_agent(shop.agent)
    texts = [says("lost") + pauses() for _ in range(2)] if place == "the model" else []
    chat.model.script(calls("refund", order=7), *texts, says("Done."), says("Bye."))
    if place == "refund":
        chat.pause_at(place)
    answer = chat.send("refund 7", wait=False)
    assert chat.wait_paused() == place
    steered = chat.steer("in French")
    for _ in texts[1:]:
        chat.crash()
        chat.recover(wait=False)
        chat.wait_paused()
    chat.crash()
    chat.recover()
    assert (answer.text, steered.text, shop.refunds) == ("Done.", "Done.", [7])
    assert chat.model.last_request.prompt == "in French"
    assert chat.send("thanks").text == "Bye."
    told = [message["role"] for message in chat.model.last_request.messages]
    assert told == ["user", "assistant", "tool", "user", "assistant", "user"]


@pytest.mark.parametrize(("busy", "kept"), [("interrupt", 4), ("rollback", 2)])
def test_an_impatient_user(chat_agent: ChatAgent, busy: Any, kept: int) -> None:
    chat = chat_agent(Shop().agent)
    chat.model.script(says("Well, ") + pauses(), "short")
    first = chat.send("explain", wait=False)
    chat.wait_paused()
    assert chat.send("shorter", busy=busy).text == "short"
    assert first.outcome == "stopped"
    assert len(chat.history) == kept


def test_the_queue_is_seen_changed_and_emptied(chat_agent: ChatAgent) -> None:
    chat = chat_agent(Shop().agent)
    chat.model.script(pauses() + "one", "two")
    chat.send("first", wait=False)
    chat.wait_paused()
    second, third = chat.send("second", wait=False), chat.send("third", wait=False)
    ids = [message["id"] for message in chat.queue]
    chat.edit_queued(ids[0], "second, but better")
    chat.cancel_queued(ids[1])
    chat.resume()
    assert (second.text, third.outcome, third.text) == ("two", "cancelled", "")
    assert chat.model.last_request.prompt == "second, but better"


def test_what_waits_may_become_urgent(chat_agent: ChatAgent) -> None:
    chat = chat_agent(Shop().agent)
    chat.model.script(says("Well, ") + pauses(), "Now.")
    first = chat.send("one", wait=False)
    chat.wait_paused()
    second = chat.send("two", wait=False)
    chat.edit_queued(chat.queue[0]["id"], busy="interrupt")
    assert (first.outcome, first.text, second.text) == ("stopped", "Well, ", "Now.")


def test_a_busy_agent_may_reject(chat_agent: ChatAgent) -> None:
    chat = chat_agent(Shop(busy="reject").agent)
    chat.model.script(pauses() + "one")
    chat.send("first", wait=False)
    chat.wait_paused()
    with pytest.raises(Busy):
        chat.send("second")
    chat.resume()
    chat.wait()
    assert len(chat.history) == 2


def test_a_tool_that_had_finished_is_not_run_again_after_a_crash(chat_agent: ChatAgent) -> None:
    shop = Shop()
    chat = chat_agent(shop.agent)
    chat.model.script(calls("refund", order=7), says("Half of ") + pauses(), "Done.")
    answer = chat.send("refund 7", wait=False)
    chat.wait_paused()
    chat.crash()
    chat.recover()
    assert (answer.outcome, answer.text) == ("completed", "Done.")
    assert shop.refunds == [7]
    assert chat.raw_chunks[0]["attempt"] == 1
    assert [each["attempt"] for each in chat.raw_chunks if each["type"] == "turn-start"] == [1, 2]
    assert shop.hooks.count("on_turn_complete") == 1


@pytest.mark.parametrize("place", ["claim", "mark", "append", "refund", "commit"])
def test_a_crash_anywhere_leaves_a_whole_answer(chat_agent: ChatAgent, place: str) -> None:
    shop = Shop()
    chat = chat_agent(shop.agent)
    chat.model.respond(lambda request: "Done." if request.messages[-1]["role"] == "tool" else calls("refund", order=7))
    chat.pause_at(place)
    answer = chat.send("refund 7", wait=False)
    assert chat.wait_paused() == place
    chat.crash()
    assert shop.hooks.count("on_turn_complete") == 0
    chat.recover()
    assert (answer.outcome, answer.text, [call.output for call in answer.tool_calls]) == (
        "completed",
        "Done.",
        ["refunded"],
    )
    assert len(chat.history) == 2


def test_nobody_answers_between_a_crash_and_the_recovery(chat_agent: ChatAgent) -> None:
    chat = chat_agent(Shop().agent)
    chat.model.script("hello")
    chat.crash()
    answer = chat.send("hi", wait=False)
    with pytest.raises(NotAnswered, match="no worker lives"):
        answer.wait()
    chat.recover()
    assert answer.text == "hello"


def test_a_test_that_waits_for_what_it_holds_is_told_so(chat_agent: ChatAgent) -> None:
    chat = chat_agent(Shop().agent)
    chat.model.script(pauses("the thinker"))
    chat.send("hi", wait=False)
    chat.wait_paused()
    chat.timeout_s = 0.1
    with pytest.raises(NotAnswered, match="the thinker is held: call resume"):
        chat.wait()
    chat.timeout_s = 10
    chat.stop()
    with pytest.raises(NotAnswered, match="nothing is held"):
        chat.resume()
    with pytest.raises(NotAnswered, match="nothing was held and nothing runs"):
        chat.wait_paused()


def test_hooks_of_a_suspended_a_redeployed_and_a_crashed_chat(chat_agent: ChatAgent) -> None:
    shop = Shop()
    chat = chat_agent(shop.agent)
    chat.model.respond(lambda request: "ok")
    chat.send("one")
    assert shop.hooks == ["on_boot", "on_chat_start", "on_turn_complete"]
    shop.hooks.clear()
    chat.suspend()
    assert chat.session.suspended
    chat.send("two")
    assert shop.hooks == ["on_chat_suspend", "on_chat_resume", "on_turn_complete"]
    shop.hooks.clear()
    chat.restart()
    chat.send("three")
    assert shop.hooks == ["on_chat_suspend", "on_boot", "on_chat_resume", "on_turn_complete"]
    shop.hooks.clear()
    chat.crash()
    chat.recover()
    chat.send("four")
    assert "on_chat_suspend" not in shop.hooks
    assert shop.hooks[0] == "on_boot"


def test_a_turn_that_runs_during_a_deploy_goes_on_elsewhere(chat_agent: ChatAgent) -> None:
    shop = Shop()
    chat = chat_agent(shop.agent)
    chat.model.script(calls("refund", order=7), pauses(), "Done.")
    answer = chat.send("refund 7", wait=False)
    chat.wait_paused()
    chat.restart()
    assert answer.text == "Done."
    assert shop.refunds == [7]


def test_an_idle_chat_is_suspended_by_itself(chat_agent: ChatAgent) -> None:
    shop = Shop()
    chat = chat_agent(shop.agent, idle_timeout_s=0)
    chat.model.respond(lambda request: "ok")
    chat.send("one")
    chat.send("two")
    assert shop.hooks.count("on_chat_resume") == 1


def test_time_passes_without_waiting(chat_agent: ChatAgent) -> None:
    shop = Shop()
    chat = chat_agent(shop.agent, idle_timeout_s=30)
    chat.model.respond(lambda request: "ok")
    chat.send("one")
    run_id = chat.session.run_id
    for passed, hooks, same in (
        ("20s", ["on_turn_complete"], True),
        ("31s", ["on_chat_suspend", "on_chat_resume", "on_turn_complete"], True),
        ("61m", ["on_chat_suspend", "on_boot", "on_turn_complete"], False),
    ):
        shop.hooks.clear()
        chat.advance(passed)
        chat.send("again")
        assert (shop.hooks, chat.session.run_id == run_id) == (hooks, same), passed


def test_a_crash_of_parent_and_child_in_the_middle_of_the_child(chat_agent: ChatAgent) -> None:
    chat = chat_agent(desk, serve=[librarian, look_up])
    chat.model.script(
        calls("librarian", prompt="What is a noun?"), calls("look-up", word="noun"), "A word.", "Said so."
    )
    chat.model.script(pauses("the dictionary"), "a naming word", model="openai/gpt-4o-mini")
    answer = chat.send("ask", wait=False)
    assert chat.wait_paused() == "the dictionary"
    chat.crash()
    chat.recover()
    assert answer.text == "Said so."
    assert len(chat.model.requests) == 6


def test_a_loop_that_crashes_begins_anew_with_the_history(chat_agent: ChatAgent) -> None:
    chat = chat_agent(counter)
    chat.send("a")
    chat.crash()
    chat.recover()
    assert chat.send("b").text == "message 1"
    assert len(chat.history) == 4


def test_the_run_after_a_crash_is_a_continuation_from_the_first_turn_on(chat_agent: ChatAgent) -> None:
    shop = Shop()
    told: list[tuple[str, bool, bool]] = []

    def note(name: str) -> Callable[[Any], None]:
        return lambda event: told.append((name, event.continuation, event.previous_run_id is not None))

    for name in ("on_boot", "on_chat_start", "on_turn_start"):
        shop.agent.add(name, note(name))
    chat = chat_agent(shop.agent)
    chat.model.script(says("lost") + pauses(), "Hello.", "Again.")
    chat.send("hi", wait=False)
    chat.wait_paused()
    chat.crash()
    chat.recover()
    chat.restart()
    chat.send("more")
    first, later = (False, False), (True, True)
    assert told == [
        ("on_boot", *first),
        ("on_chat_start", *first),
        ("on_turn_start", *first),
        ("on_boot", *later),
        ("on_turn_start", *later),
        # In another process, which has the same run.
        ("on_boot", *later),
        ("on_turn_start", *later),
    ]
