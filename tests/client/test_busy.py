"""What a client does while its chat answers: steer, the messages that wait, policies; and actions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chatagent.client import AsyncChat, Chat, Result
from chatagent.errors import Busy, NotFound
from tests.client.colour import Colour
from tests.client.test_chat import options
from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker, Turn, say


@contextmanager
def answering(gateway: GatewayProcess, worker: ScriptedWorker) -> Iterator[Turn]:
    """A chat that is being answered."""
    with Chat(**options(gateway)) as chat, chat.send("first"):
        turn = worker.claim()
        turn.append(*say("the first")[:3])
        yield turn


def test_a_message_is_steered_into_the_running_answer(
    gateway: GatewayProcess, worker: ScriptedWorker, colour: Colour
) -> None:
    with answering(gateway, worker):
        assert colour.call(options(gateway), "steer", "be brief", metadata={"a": 1}) == 1
        (entry,) = colour.call(options(gateway), "queue")
    assert (entry["busy"], entry["message"]["parts"][0]["text"]) == ("steer", "be brief")


def test_messages_that_wait_are_edited_and_cancelled(
    gateway: GatewayProcess, worker: ScriptedWorker, colour: Colour
) -> None:
    with answering(gateway, worker), Chat(**options(gateway)) as other, other.send("second"):
        (entry,) = colour.call(options(gateway), "queue")
        message_id = entry["message"]["id"]
        edited = colour.call(options(gateway), "edit_queued", message_id, "changed", busy="merge")
        assert (edited["busy"], edited["message"]["id"]) == ("merge", message_id)
        assert edited["message"]["parts"] == [{"type": "text", "text": "changed"}]
        assert colour.call(options(gateway), "cancel_queued", entry["seq"])["seq"] == 1
        assert colour.call(options(gateway), "queue") == []
        with pytest.raises(NotFound):
            colour.call(options(gateway), "cancel_queued", message_id)


def test_an_answer_that_is_stopped_before_it_begins_is_stopped(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    async def ask() -> Result:
        async with AsyncChat(**options(gateway)) as chat:
            answer = await chat.send("third")
            assert await answer.stop() is True
            return await answer.result()

    with answering(gateway, worker), Chat(**options(gateway)) as other, other.send("second") as answer:
        assert answer.stop() is True
        assert answer.result().outcome == asyncio.run(ask()).outcome == "stopped"


def test_a_message_may_be_refused_by_a_busy_chat(
    gateway: GatewayProcess, worker: ScriptedWorker, colour: Colour
) -> None:
    with answering(gateway, worker), pytest.raises(Busy):
        colour.ask(options(gateway), "send", "now", busy="reject")


@pytest.mark.parametrize("said", ["", "as you like"])
def test_an_action_is_run_and_may_be_answered(
    gateway: GatewayProcess, worker: ScriptedWorker, colour: Colour, said: str
) -> None:
    def act(turn: Turn) -> None:
        if turn.record.kind == "action":
            assert turn.record.payload == {"action": {"type": "undo"}, "metadata": {"a": 1}}
        if turn.record.kind == "action" and not said:
            turn.end()
        else:
            turn.commit(*say(said or "hello", message_id=f"a{turn.record.seq}"))

    worker.serve(act)
    colour.ask(options(gateway), "send", "hi")
    told = colour.ask(options(gateway), "action", {"type": "undo"}, metadata={"a": 1})
    assert (told.text, told.result.outcome) == (said, "completed")
