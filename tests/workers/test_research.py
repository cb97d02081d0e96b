from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.runtime.fleet import Fleet, fleet
from tests.runtime.world import until
from workers.agents.research import best_sources, read_source, research, research_topic

Part = Callable[[dict[str, Any], str], dict[str, Any]]


def test_sources_are_found_by_the_words_of_the_topic() -> None:
    assert best_sources("queues that are safe for threads")[0] in ("queue", "threading")
    assert "calendar" in best_sources("printing a calendar")
    assert best_sources("xyzzy") == []


def test_subtasks_report_into_the_chat_and_their_findings_are_the_tools_output(
    redis_url: str, model_loop: asyncio.Runner, part: Part
) -> None:
    async def test(world: Fleet) -> None:
        async with world.worker(research, research_topic, read_source):
            session = world.chat(research)
            world.say(session, "Research queues that are safe for threads.")
            await world.dispatch("research", session.id, "turns")
            await until(lambda: len(world.history(session)) == 2)
            call = part(world.history(session)[1], "tool-research")
            assert call["state"] == "output-available", call
            sources = [finding["source"] for finding in call["output"]]
            assert "queue" in sources
            assert all(finding["summary"] for finding in call["output"])
            told = [chunk for chunk in world.chunks(session) if chunk["type"] == "data-progress"]
            for source in sources:
                about = [chunk["data"]["status"] for chunk in told if chunk["id"] == f"progress-{source}"]
                assert about == ["reading", "done"]
            assert [agent for agent, _, _ in world.sent].count("read-source") == len(sources)

    fleet(redis_url, test, runner=model_loop)
