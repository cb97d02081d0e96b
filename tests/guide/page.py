"""A page of the guide: its code, run as it stands, and agents of it on a real engine.

A block is marked in the page by the line before it, and run by a test of that name:

    <!-- test: simple -->
    ```python

    PAGE = Page("agents")

    def test_simple(talk: Talking) -> None:
        agent = PAGE.run("simple")["support"]
        ...
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chatagent.redis.session import Session
from chatagent.runtime.engine import Engine
from tests.runtime.fleet import Fleet, Kind
from tests.runtime.world import text_of, until
from tests.stack import REPOSITORY

_BLOCK = re.compile(r"<!-- test: ([\w-]+) -->\n```python\n(.*?)```", re.DOTALL)
_RUN = re.compile(r"""\.run\(\s*["']([\w-]+)["']""")


class Page:
    """One page of `docs/guide`, and its marked blocks by name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = (REPOSITORY / "docs" / "guide" / f"{name}.md").read_text("utf-8")
        found = _BLOCK.findall(self.text)
        self.blocks: dict[str, str] = dict(found)
        assert len(self.blocks) == len(found), f"{name}.md: two blocks have one name"

    def run(self, block: str, **names: Any) -> dict[str, Any]:
        """Run a block where `names` are known; gives all names that are known after it."""
        space = {"__name__": f"guide_{self.name}_{block}".replace("-", "_"), **names}
        # The marks put a block at its own line of the page, so that a traceback points there.
        before = self.text[: self.text.index(f"<!-- test: {block} -->")].count("\n") + 2
        code = "\n" * before + self.blocks[block]
        exec(compile(code, f"docs/guide/{self.name}.md", "exec", dont_inherit=True), space)
        return space

    def assert_every_block_is_run(self, test_file: str) -> None:
        """Fail unless each `python` block of the page is marked, and run by a test of this file."""
        assert self.text.count("```python") == len(self.blocks), f"{self.name}.md has a block without a mark"
        assert set(_RUN.findall(Path(test_file).read_text("utf-8"))) == set(self.blocks)


class Talk:
    """One chat with an agent, on an engine that serves it (and what it starts)."""

    def __init__(self, world: Fleet, engine: Engine, session: Session) -> None:
        self.world = world
        self.engine = engine
        self.session = session
        self._sent = 0

    async def ask(self, text: str = "hi", **payload: Any) -> str:
        """Send a message and return how its turn ended; `payload` may hold `metadata` (the client data)."""
        self._sent += 1
        self.world.say(self.session, text, f"u{self._sent}", **payload)
        return await self.answer()

    async def answer(self) -> str:
        """Run the next turn."""
        turns = self._turns
        outcome = await self.engine.run_turn(self.session.agent, self.session.id)
        if outcome == "parked":  # It goes on without a slot.
            await until(lambda: self._turns > turns)
        return outcome

    async def push(self, kind: Any, payload: dict[str, Any]) -> str:
        """Send something that is no message, and let it be served."""
        self.world.side.inbox.push(self.session.id, kind, payload)
        return await self.answer()

    @property
    def history(self) -> list[dict[str, Any]]:
        """The stored messages."""
        return self.world.history(self.session)

    @property
    def texts(self) -> list[str]:
        """The text of each stored message."""
        return text_of(self.history)

    @property
    def chunks(self) -> list[dict[str, Any]]:
        """Everything that clients were streamed."""
        return self.world.chunks(self.session)

    @property
    def _turns(self) -> int:
        records = self.world.side.outbox.read(self.session.id, -1)
        return sum(record.control == "turn-complete" for record in records)


async def talking(world: Fleet, test: Callable[[Talk], Any], agent: Any, *serve: Kind) -> None:
    """Let `test` talk to `agent`; `serve` are the further agents and tasks that it needs."""
    async with world.worker(agent, *serve) as engine:
        await test(Talk(world, engine, world.chat(agent)))
