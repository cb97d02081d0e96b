"""`docs/guide/stopping.md`."""

from __future__ import annotations

from tests.guide.conftest import Talking
from tests.guide.page import Page, Talk

PAGE = Page("stopping")


def test_every_block_is_run() -> None:
    PAGE.assert_every_block_is_run(__file__)


def test_signals(talk: Talking) -> None:
    async def test(chat: Talk) -> None:
        assert await chat.ask("hello") == "completed"
        assert chat.texts == ["hello", "You said: hello"]

    talk(test, PAGE.run("signals")["support"])
