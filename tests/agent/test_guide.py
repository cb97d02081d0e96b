"""The code of the guide, run as it stands, with a provider of ours behind the environment's addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatagent.agent import Agent
from chatagent.cli.types import message_types
from tests.agent.test_openai_source import event, response, said
from tests.provider import FakeProvider
from tests.runtime.world import World, live
from tests.stack import REPOSITORY

GUIDE = (REPOSITORY / "docs" / "guide" / "sources.md").read_text("utf-8")
SNIPPETS = dict(re.findall(r"<!-- test: (\w+) -->\n```python\n(.*?)```", GUIDE, re.DOTALL))
ANSWER: list[dict[str, Any]] = [{"content": "It is "}, {"content": "clear."}, {"finish": "stop"}]
RESPONSE = [said("It is clear."), event("response.completed", response=response())]

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeProvider]:
    with FakeProvider() as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.url)
        monkeypatch.setenv("OPENAI_API_BASE", running.url)
        monkeypatch.setenv("OPENAI_API_KEY", "x")
        yield running


def agent_of(name: str) -> Agent[Any]:
    """The agent that a block of the guide makes."""
    space: dict[str, Any] = {"__name__": f"guide_{name}"}
    exec(compile(SNIPPETS[name], f"sources.md: {name}", "exec", dont_inherit=True), space)
    (found,) = [value for value in space.values() if isinstance(value, Agent)]
    return found


def test_every_python_block_of_the_guide_is_run_by_a_test() -> None:
    assert set(SNIPPETS) == {"pydantic_ai", "langgraph", "openai", "typed"}
    assert GUIDE.count("```python") == len(SNIPPETS)


@pytest.mark.parametrize("name", sorted(SNIPPETS))
def test_the_agents_of_the_guide_answer(redis_url: str, provider: FakeProvider, name: str) -> None:
    provider.script(RESPONSE if name in ("openai", "pydantic_ai") else ANSWER)
    agent = agent_of(name)

    async def test(world: World) -> None:
        session = world.chat(agent)
        async with world.engine(agent) as engine:
            assert await world.turn(engine, session, "What is the weather?") == "completed"
        answer = world.history(session)[1]
        assert "".join(part.get("text", "") for part in answer["parts"]) == "It is clear."
        if name == "typed":
            assert answer["metadata"] == {"model": "none"}

    live(redis_url, test)


def test_the_types_of_the_guide_are_those_that_are_printed() -> None:
    printed = message_types([agent_of("typed")])
    (shown,) = re.findall(r"```ts\n(.*?)```", GUIDE, re.DOTALL)
    for declaration in re.split(r"(?=^export)", shown, flags=re.MULTILINE):
        assert declaration.strip() in printed


def test_the_agents_to_copy_are_there_and_short() -> None:
    named = re.findall(r"`(workers/agents/\w+\.py)`", GUIDE)
    assert len(named) == 4
    for path in named:
        assert len(Path(REPOSITORY / path).read_text("utf-8").splitlines()) <= 120, path
