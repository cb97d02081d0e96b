from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from chatagent.redis.session import Session
from chatagent.runtime.engine import Engine
from tests.runtime.fleet import Fleet, fleet
from workers.agents.approval import approval

Part = Callable[[dict[str, Any], str], dict[str, Any]]


async def say(world: Fleet, engine: Engine, session: Session, text: str, **payload: Any) -> dict[str, Any]:
    """One message; gives the answer."""
    world.say(session, text, f"u{len(world.history(session))}", **payload)
    await engine.run_turn("approval", session.id)
    return world.history(session)[-1]


async def send_back(world: Fleet, engine: Engine, session: Session, message: dict[str, Any]) -> dict[str, Any]:
    """The answer with what the page has added to it, as useChat sends it; gives what became of it."""
    world.side.inbox.push(session.id, "message", {"message": message, "trigger": "submit-message"})
    await engine.run_turn("approval", session.id)
    return world.history(session)[-1]


def patched(message: dict[str, Any], kind: str, **fields: Any) -> dict[str, Any]:
    parts = [{**part, **fields} if part["type"] == kind else part for part in message["parts"]]
    return {**message, "parts": parts}


def test_a_small_refund_and_one_of_a_supervisor_need_nobodys_yes(
    redis_url: str, model_loop: asyncio.Runner, part: Part
) -> None:
    async def test(world: Fleet) -> None:
        async with world.worker(approval) as engine:
            session = world.chat(approval)
            small = part(await say(world, engine, session, 'Refund 5 euros for "order 1002".'), "tool-refund")
            assert small["output"] == {"order": "order 1002", "euros": 5.0, "granted_by": "guest"}
            boss = {"name": "Bo", "role": "supervisor"}
            answer = await say(world, engine, session, 'Refund 75 euros for "order 1".', metadata=boss)
            assert part(answer, "tool-refund")["output"]["granted_by"] == "Bo"

    fleet(redis_url, test, runner=model_loop)


@pytest.mark.parametrize("approved", [True, False])
def test_a_large_refund_waits_for_its_answer_also_in_another_worker(
    redis_url: str, model_loop: asyncio.Runner, part: Part, approved: bool
) -> None:
    async def test(world: Fleet) -> None:
        session = world.chat(approval)
        async with world.worker(approval) as engine:
            asked = await say(world, engine, session, 'Refund 75 euros for "order 1001".')
        call = part(asked, "tool-refund")
        assert call["state"] == "approval-requested"
        answered = patched(
            asked,
            "tool-refund",
            state="approval-responded",
            approval={"id": call["approval"]["id"], "approved": approved},
        )
        async with world.worker(approval, owner="w2") as other:
            done = part(await send_back(world, other, session, answered), "tool-refund")
        assert done["state"] == ("output-available" if approved else "output-denied")

    fleet(redis_url, test, runner=model_loop)


def test_a_question_is_answered_by_the_page(redis_url: str, model_loop: asyncio.Runner, part: Part) -> None:
    async def test(world: Fleet) -> None:
        async with world.worker(approval) as engine:
            session = world.chat(approval)
            asked = await say(world, engine, session, "Ask for the reason.")
            assert part(asked, "tool-ask_reason")["state"] == "input-available"
            answered = patched(asked, "tool-ask_reason", state="output-available", output="it broke")
            done = await send_back(world, engine, session, answered)
            assert part(done, "tool-ask_reason")["output"] == "it broke"
            assert "it broke" in "".join(each.get("text", "") for each in done["parts"])

    fleet(redis_url, test, runner=model_loop)


def test_what_a_client_says_of_itself_is_validated(redis_url: str, model_loop: asyncio.Runner) -> None:
    async def test(world: Fleet) -> None:
        async with world.worker(approval) as engine:
            session = world.chat(approval)
            world.say(session, "hello", metadata={"role": "king"})
            assert await engine.run_turn("approval", session.id) == "failed"
            (error,) = [chunk for chunk in world.chunks(session) if chunk["type"] == "error"]
            assert "metadata.role" in error["errorText"]

    fleet(redis_url, test, runner=model_loop)
