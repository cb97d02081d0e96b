"""The components of the guide in a real browser, with the real hooks and transports of every generation."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from chatagent.ui import translate_message
from tests.e2e.page import difference
from tests.e2e.script import hold, message, part, say, words
from tests.e2e.server import Message, Server, text_of
from tests.frontend.guide import FILES, GUIDE, PAGES, USED, write_app
from tests.node import Node

pytestmark = pytest.mark.e2e

VARIANTS = [page for pages in PAGES.values() for page in pages]
#: The texts of the messages that the page shows, by id.
SHOWN = """all => all.map(each => {
  const texts = [...each.querySelectorAll(':scope > p')].map(paragraph => paragraph.textContent);
  return [each.dataset.id, texts.join('')];
})"""
GOODBYE = [{"content": "So be it."}, {"finish": "stop"}]


@pytest.fixture(params=VARIANTS)
def tab(request: pytest.FixtureRequest, site: str, server: Server, page: Page) -> Tab:
    """A page of each variant with a new chat."""
    return Tab(page, server, request.param, f"{site}/{request.param}")


class Tab:
    """One chat in a browser."""

    def __init__(self, page: Page, server: Server, variant: str, address: str) -> None:
        self.page = page
        self.server = server
        self.variant = variant
        self.chat_id = f"chat-{secrets.token_hex(4)}"
        page.goto(f"{address}/{self.chat_id}")

    def send(self, text: str) -> None:
        self.page.get_by_label("Message").fill(text)
        self.click("Send")

    def click(self, button: str, at: int = -1) -> None:
        self.page.get_by_role("button", name=button, exact=True).nth(at).click()

    def ask(self, text: str) -> list[Message]:
        self.send(text)
        return self.same(text)

    @property
    def answer(self) -> Locator:
        return self.page.locator('article[data-role="assistant"]').last

    def same(self, expected: str = "") -> list[Message]:
        """The page rests and holds what is stored, and shows its text; gives it."""
        self.server.wait_idle(self.chat_id)
        expect(self.page.locator("main")).to_have_attribute("data-status", "ready")
        self.page.wait_for_function("window.chat.status === 'ready'")
        stored = self.server.wait_idle(self.chat_id)
        # The component for ai 5 holds what the gateway gives in its words.
        kept = [translate_message(each, 5) for each in stored] if self.variant == "ai5-sse" else stored
        told = difference(json.loads(self.page.evaluate("JSON.stringify(window.chat.messages)")), kept)
        assert not told, f"{expected}\n{told}"
        shown = self.page.locator("article").evaluate_all(SHOWN)
        assert shown == [[each["id"], text_of(each)] for each in stored]
        return stored


def test_every_snippet_is_used() -> None:
    assert set(FILES) == {name for names in USED.values() for name in names}
    assert GUIDE.count("```ts") == len(FILES)


@pytest.mark.parametrize("generation", PAGES)
def test_the_snippets_are_well_typed(generation: str, packages: Node, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", generation)
    # One error is ours: it shows that errors are found
    (app.folder / "wrong.ts").write_text("import { readChat } from './actions';\nexport const wrong = readChat(1);\n")
    told = app.check(packages).splitlines()
    assert len(told) == 1 and "wrong.ts(2,31): error TS2345" in told[0], "\n".join(told)


def test_a_chat_is_led(tab: Tab, tmp_path: Path) -> None:
    # Send, and once more
    tab.ask("one")
    stored = tab.ask("two")
    assert [text_of(each) for each in stored] == ["one", "You said: one", "two", "You said: two"]
    # Another answer
    tab.click("Again")
    again = tab.same()
    assert [text_of(each) for each in again] == [text_of(each) for each in stored]
    assert again[3]["id"] != stored[3]["id"]
    # Edit the first message
    tab.click("Edit", 0)
    assert [text_of(each) for each in tab.ask("uno")] == ["uno", "You said: uno"]
    # Stop
    tab.send(message(say(3), hold(tmp_path / "never")))
    expect(tab.answer).to_contain_text(words(3).strip())
    tab.click("Stop")
    assert text_of(tab.same()[-1]) == words(3)
    assert len(tab.ask("go on")) == 6
    tab.page.screenshot(path=tmp_path / "chat.png")


def test_an_answer_survives_a_reload(tab: Tab, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    tab.ask("before")
    tab.send(message(say(3), hold(gate), say(3)))
    expect(tab.answer).to_contain_text(words(3).strip())
    tab.page.reload()
    expect(tab.answer).to_contain_text(words(3).strip())
    gate.touch()
    assert text_of(tab.same()[-1]) == words(3) * 2


def test_the_page_answers_a_tool_call(tab: Tab) -> None:
    tab.ask(json.dumps([_calls("ask_place"), GOODBYE]))
    tab.page.reload()
    tab.click("Share my place")
    expect(tab.answer).to_contain_text("So be it.")
    stored = tab.same()
    assert (len(stored), _tool(stored)["output"]) == (2, {"place": "Porto"})
    expect(tab.answer.locator("output")).to_have_text('{"place":"Porto"}')


@pytest.mark.parametrize("button", ["Approve", "Deny"])
def test_the_page_decides(tab: Tab, button: str, tmp_path: Path) -> None:
    tab.send(json.dumps([_calls("pay", euros=5), GOODBYE]))
    for _ in range(2):
        expect(tab.page.get_by_role("button", name="Approve")).to_be_visible()
        tab.same()
        tab.page.reload()
    tab.page.screenshot(path=tmp_path / "asked.png")
    tab.click(button)
    expect(tab.answer).to_contain_text("So be it.")
    if tab.variant == "ai5-sse":
        tab.server.wait_idle(tab.chat_id)
        tab.page.reload()
    stored = tab.same()
    assert _tool(stored)["state"] == ("output-available" if button == "Approve" else "output-denied")


#: The guide's component for ai 5 shows no data; its hook's are compared in the matrix of `tests/e2e`.
@pytest.mark.parametrize("tab", [each for each in VARIANTS if each != "ai5-sse"], indirect=True)
def test_data_metadata_and_errors_are_shown(tab: Tab) -> None:
    toast = part({"type": "data-toast", "data": "saved", "transient": True})
    progress = [part({"type": "data-progress", "id": "p", "data": {"percent": percent}}) for percent in (10, 70)]
    usage = part({"type": "message-metadata", "messageMetadata": {"usage": {"totalTokens": 17}}})
    tab.ask(message(toast, progress[0], say(1), progress[1], usage))
    expect(tab.page.get_by_role("status")).to_have_text("saved")
    expect(tab.page.get_by_role("progressbar")).to_have_attribute("value", "70")
    expect(tab.answer).to_contain_text("17 tokens")


def _calls(name: str, **arguments: Any) -> list[dict[str, Any]]:
    """The model calls a tool."""
    call = {"index": 0, "id": "call_0", "name": name, "args": json.dumps(arguments)}
    return [{"tool": [call]}, {"finish": "tool_calls"}]


def _tool(stored: list[Message]) -> dict[str, Any]:
    return next(each for each in stored[-1]["parts"] if each["type"].startswith("tool-"))
